/** Put into a host that has no `@nestjs/schedule`: what needs it says so, and nothing else does. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const load = createRequire(join(process.cwd(), 'package.json'));
assert.throws(() => load('nestor/schedule'), { code: 'MODULE_NOT_FOUND', message: /@nestjs\/schedule/ });
