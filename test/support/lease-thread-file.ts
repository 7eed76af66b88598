import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { transformSync, type Options } from '@swc/core';

// In place of `runtime/leases/thread-file.ts`: a thread loads its module by itself, without Jest, so it gets compiled first.
// The text of the source is part of the name, so that test files that run side by side never see half of it.
const ROOT = resolve(__dirname, '../..');
const SOURCE = join(ROOT, 'libs/orchestrator/src/runtime/leases/lease-keeper.thread.ts');
const FOLDER = join(ROOT, 'node_modules/.cache/nestor-test');

/** Where there is no `navigator`, as in Node 20, `pg` asks for `Response`, and that loads `fetch`: 20 ms in each thread. */
const FIRST = `'use strict'; globalThis.navigator ??= { userAgent: 'Node.js' };`;

function compiled(): string {
  const source = readFileSync(SOURCE, 'utf8');
  const key = createHash('sha256').update(FIRST).update(source).digest('hex').slice(0, 16);
  const path = join(FOLDER, `lease-keeper-${key}.js`);
  if (existsSync(path)) return path;
  const settings = JSON.parse(readFileSync(join(ROOT, '.swcrc'), 'utf8')) as Options & { $schema: string };
  const { $schema: _, exclude: __, jsc, ...options } = settings;
  const { code } = transformSync(source, {
    ...options,
    jsc: { ...jsc, baseUrl: ROOT }, // it has to be absolute
    swcrc: false,
    sourceMaps: 'inline',
    filename: SOURCE,
  });
  mkdirSync(FOLDER, { recursive: true });
  const unfinished = `${path}.${process.pid}`;
  writeFileSync(unfinished, `${FIRST} ${code}`); // in one line with what follows, so that the source map holds
  renameSync(unfinished, path);
  return path;
}

export const LEASE_THREAD_FILE = compiled();
