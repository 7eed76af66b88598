import { StateType } from '@nestor/core';
import type { Client } from 'pg';
import { linesOf, type Evidence } from './evidence.js';
import { grouped } from './grouped.js';
import type { Checked, Violation } from './violation.js';

interface QueuedRow {
  readonly id: string;
  readonly stateType: StateType | null;
  readonly key: string | null;
  readonly mark: string | null;
}

/** What of those who share a run the last one asked for it with: the others' marks are nowhere. */
const SHARED = new Set(['singleton', 'debounced', 'keyed']);

/**
 * I1, of runs that are enqueued: what was asked for once is there once, what was asked for with a key once per key, what was
 * rolled back never; and all that is there has completed. (That what was acknowledged has is looked at as for all runs.)
 */
export async function checkQueuedRuns(client: Client, evidence: Evidence): Promise<Checked> {
  const { rows: runs } = await client.query<QueuedRow>(
    `select id, state_type as "stateType", idempotency_key as key, parameters::jsonb #>> '{mark}' as mark from nestor.flow_run`,
  );
  const { rows: orders } = await client.query<{ mark: string }>('select mark from shop.orders');
  const { rows: made } = await client.query<{ id: string; isDeleted: boolean }>(
    'select run_id as id, is_deleted as "isDeleted" from observer.run',
  );
  const asked = new Map(
    linesOf(evidence, 'asked').flatMap(({ marks, how }) => marks.map((mark) => [mark, how] as const)),
  );
  const rolledBack = new Set(linesOf(evidence, 'rolled-back').map(({ mark }) => mark));
  const ordered = new Set(orders.map(({ mark }) => mark));
  const there = new Set(runs.map(({ id }) => id));
  const violations: Violation[] = [];
  const broken = (what: string): unknown => violations.push({ invariant: 'I1', what });

  for (const { id, isDeleted } of made) {
    if (isDeleted) broken(`run ${id} was deleted`);
    else if (!there.has(id)) broken(`run ${id} was committed, and is gone`);
  }
  for (const { id, stateType, mark } of runs) {
    if (stateType !== StateType.Completed) broken(`run ${id} is ${stateType} instead of COMPLETED`);
    if (mark === null || !asked.has(mark)) broken(`run ${id} was asked for by nobody`);
  }
  const byMark = grouped(runs, ({ mark }) => mark);
  for (const [mark, how] of asked) {
    const ids = (byMark.get(mark) ?? []).map(({ id }) => id);
    if (ids.length > 1) broken(`what was asked for once (${how}, ${mark}) is there as runs ${ids.join(', ')}`);
    if (how !== 'ordered') continue;
    if (rolledBack.has(mark) && ids.length + Number(ordered.has(mark)) > 0)
      broken(`run ${ids.join()} of order ${mark} was rolled back`);
    else if (ids.length !== Number(ordered.has(mark))) {
      broken(`of order ${mark} there are ${Number(ordered.has(mark))} rows and ${ids.length} runs`);
    }
  }
  return {
    violations: [...violations, ...ambiguousKeys(runs, evidence)],
    figures: {
      asked: asked.size,
      runs: runs.length,
      keys: new Set(linesOf(evidence, 'keyed').map(({ key }) => key)).size,
      shared: [...asked.values()].filter((how) => SHARED.has(how)).length,
      orders: orders.length,
      rolled_back: rolledBack.size,
    },
  };
}

/** Whoever asks with a key gets the one run that has it. */
function ambiguousKeys(runs: readonly QueuedRow[], evidence: Evidence): Violation[] {
  const violations: Violation[] = [];
  const withKeys = grouped(
    runs.filter(({ key }) => key !== null),
    ({ key }) => key,
  );
  for (const [key, { length }] of withKeys) {
    if (length > 1) violations.push({ invariant: 'I1', what: `${length} runs have the key ${key}` });
  }
  for (const [key, lines] of grouped(linesOf(evidence, 'keyed'), (line) => line.key)) {
    const given = new Set(lines.map(({ run }) => run));
    for (const { id } of withKeys.get(key) ?? []) given.add(id);
    if (given.size > 1) {
      violations.push({ invariant: 'I1', what: `whoever asked with the key ${key} got runs ${[...given].join(', ')}` });
    }
  }
  return violations;
}
