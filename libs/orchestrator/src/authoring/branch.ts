import { currentScope, withScope } from '../runtime/engine/run-scope.js';

/**
 * Names a part of a run: what it calls is told apart from what other parts call, by that name instead of by order. Worth it
 * where parts that run at the same time make calls that are equal in task and inputs. Outside a run it is a plain call.
 *
 * @param name the same again when the run is resumed, and different from that of other parts beside it.
 * @example
 * ```ts
 * await Promise.all([
 *   branch('north', async () => this.poll(await this.next())),
 *   branch('south', async () => this.poll(await this.next())),
 * ]);
 * ```
 */
export function branch<T>(name: string, fn: () => Promise<T>): Promise<T> {
  const scope = currentScope();
  return scope ? withScope(scope.within(scope.branch.named(name)), fn) : fn();
}
