import { withTagsInScope } from '../runtime/engine/scoped-tags.js';
import { resolvedTags } from './resolve-options.js';

/**
 * Gives every flow run and task run that begins within `work` these tags, besides its own. Scopes may be nested.
 *
 * @example `await withTags(['nightly', 'eu'], () => this.importAll(params));`
 * @throws {InvalidOptionError} when a tag is empty or longer than 200 characters, or there are more than 100.
 */
export function withTags<T>(tags: readonly string[], work: () => T): T {
  return withTagsInScope(resolvedTags(tags, 'withTags'), work);
}
