import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import * as nestor from '@nestor/orchestrator';
import * as schedule from '@nestor/schedule';
import * as testing from '@nestor/testing';

const PAGE = readFileSync(resolve(__dirname, '../../docs/error-codes.md'), 'utf8');
/** What is on the page is thrown to users: a class that is none of these would have to be matched by its code alone. */
const EXPORTED: ReadonlyMap<string, unknown> = new Map(
  [nestor, schedule, testing].flatMap((library) => Object.entries<unknown>({ ...library })),
);

describe('the page of error codes', () => {
  const [, ofThePackage = ''] = /## The package\n(.*?)\n## /s.exec(PAGE) ?? [];
  const rows = [...ofThePackage.matchAll(/^\| `([A-Z_]+)` \| `(\w+)` \|/gm)];

  it('names every class once, and every code', () => {
    expect(rows.length).toBeGreaterThan(100);
    for (const column of [1, 2]) expect(new Set(rows.map((row) => row[column])).size).toBe(rows.length);
  });

  it.each(rows.map(([, code, name = '']) => [code, name]))('%s: %s can be imported', (_, name) => {
    expect(EXPORTED.get(name)).toHaveProperty('prototype', expect.any(nestor.OrchestratorError));
  });
});
