import { createRequire } from 'node:module';
import { join } from 'node:path';
import { root } from '../../scripts/build-inputs.mjs';
import { compile } from './compiled.mjs';

const require = createRequire(import.meta.url);
const SERVER = 'libs/orchestrator/src/persistence/embedded-postgres';

/**
 * Keeps the embedded server up while all tests are run. Otherwise whoever closes it last stops it, dozens of times: whenever
 * none of the test files under way needs a database. Each start costs time, and it costs the tests of processes that die far
 * more, because none counts as dead within one lease of a start of the server.
 *
 * A few files that somebody names can do without.
 */
export default async function globalSetup({ testPathPatterns }) {
  if (process.env.DATABASE_URL !== undefined || testPathPatterns.isSet()) return;
  const cache = join(root, 'node_modules/.cache/nestor-test');
  for (const folder of ['libs/core/src', SERVER]) compile(join(root, folder), join(cache, 'server', folder));
  const { EmbeddedPostgres } = require(join(cache, 'server', SERVER, 'embedded-postgres.js'));
  globalThis.nestorTestServer = await EmbeddedPostgres.open({ directory: join(cache, 'postgres') });
}
