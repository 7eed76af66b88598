import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decode, type StateType } from '@nestor/core';
import type { Client } from 'pg';
import type { Token, WitnessLine } from '../witness.js';

export interface StoredFlowRun {
  readonly id: string;
  readonly root: string;
  readonly tags: readonly string[];
  readonly stateId: string | null;
  readonly stateType: StateType | null;
  readonly processId: string | null;
  readonly policy: Readonly<Record<string, unknown>>;
  /** What its flow returned, or threw. */
  readonly outcome: unknown;
}

export interface StoredTaskRun {
  readonly id: string;
  readonly flowRunId: string | null;
  readonly taskKey: string;
  readonly stateId: string | null;
  readonly stateType: StateType | null;
  readonly policy: Readonly<Record<string, unknown>>;
  readonly outcome: unknown;
}

/** One element of a history. */
export interface StoredState {
  readonly runId: string;
  readonly id: string;
  readonly type: StateType;
  readonly name: string;
  readonly message: string | null;
  readonly details: Readonly<Record<string, unknown>>;
  readonly follows: string | null;
  /** Microseconds since 1970. */
  readonly timestamp: number;
  /** Milliseconds since 1970, to the microsecond, as the server kept it for the transaction. */
  readonly committedAt: number;
}

/** All that is known of what happened: the database, and what bodies and clients wrote down. */
export interface Evidence {
  readonly lines: readonly WitnessLine[];
  readonly flowRuns: ReadonlyMap<string, StoredFlowRun>;
  readonly taskRuns: ReadonlyMap<string, StoredTaskRun>;
  /** By run, oldest first. */
  readonly flowStates: ReadonlyMap<string, readonly StoredState[]>;
  readonly taskStates: ReadonlyMap<string, readonly StoredState[]>;
  /** When the fence around a process was committed, by its id. */
  readonly fencedAt: ReadonlyMap<string, number>;
}

export type LineOf<Kind extends WitnessLine['kind']> = Extract<WitnessLine, { kind: Kind }>;

export function linesOf<Kind extends WitnessLine['kind']>(
  { lines }: Pick<Evidence, 'lines'>,
  kind: Kind,
): LineOf<Kind>[] {
  return lines.filter((line): line is LineOf<Kind> => line.kind === kind);
}

export async function gatherEvidence(client: Client, home: string): Promise<Evidence> {
  return {
    lines: readWitnesses(home),
    flowRuns: byId(await flowRunsOf(client)),
    taskRuns: byId(await taskRunsOf(client)),
    flowStates: await historiesOf(client, FLOW_RUN_STATES),
    taskStates: await historiesOf(client, TASK_RUN_STATES),
    fencedAt: await fencesOf(client),
  };
}

/** The tokens in an outcome: those of a list that was returned, or the one. */
export function tokensIn(outcome: unknown): Token[] {
  if (Array.isArray(outcome)) return outcome.flatMap(tokensIn);
  const isToken = typeof outcome === 'object' && outcome !== null && 'exec' in outcome && 'step' in outcome;
  return isToken ? [outcome as Token] : [];
}

/**
 * What was written down, in the order in which it happened. The last line of a process that was killed may be half a line; nobody
 * was told that it is written.
 */
export function readWitnesses(home: string): WitnessLine[] {
  const files = readdirSync(home).filter((name) => name.endsWith('.witness'));
  const lines = files.flatMap((name) => {
    const complete = readFileSync(join(home, name), 'utf8').split('\n').slice(0, -1);
    return complete.map((text) => JSON.parse(text) as WitnessLine);
  });
  return lines.sort((one, other) => one.at - other.at);
}

async function flowRunsOf(client: Client): Promise<StoredFlowRun[]> {
  const { rows } = await client.query<Omit<StoredFlowRun, 'outcome'> & { result: string | null }>(
    `select id, root_flow_run_id as root, tags, state_id as "stateId", state_type as "stateType",
            process_id as "processId", empirical_policy as policy, result::text
       from nestor.flow_run`,
  );
  return rows.map(({ result, ...row }) => ({ ...row, outcome: result === null ? undefined : decode(result) }));
}

async function taskRunsOf(client: Client): Promise<StoredTaskRun[]> {
  const { rows } = await client.query<Omit<StoredTaskRun, 'outcome'> & { result: string | null }>(
    `select id, flow_run_id as "flowRunId", task_key as "taskKey", state_id as "stateId", state_type as "stateType",
            empirical_policy as policy, result::text
       from nestor.task_run`,
  );
  return rows.map(({ result, ...row }) => ({ ...row, outcome: result === null ? undefined : decode(result) }));
}

const FLOW_RUN_STATES = 'select *, flow_run_id as run_id, xmin as written_by from nestor.flow_run_state';
/** States that are not rows of their own came with the row of their run. */
const TASK_RUN_STATES = `
  select h.*, h.task_run_id as run_id, coalesce(s.xmin, r.xmin) as written_by
    from nestor.task_run_history h
    join nestor.task_run r on r.id = h.task_run_id
    left join nestor.task_run_state s on s.task_run_id = h.task_run_id and s.timestamp = h.timestamp`;

async function historiesOf(client: Client, states: string): Promise<Map<string, StoredState[]>> {
  const { rows } = await client.query<StoredState>(
    `select run_id as "runId", id, type, name, message, state_details as details, follows,
            (extract(epoch from timestamp) * 1000000)::float8 as timestamp,
            (extract(epoch from pg_xact_commit_timestamp(written_by)) * 1000)::float8 as "committedAt"
       from (${states}) as states order by run_id, timestamp`,
  );
  const histories = new Map<string, StoredState[]>();
  for (const row of rows) {
    const history = histories.get(row.runId);
    if (history) history.push(row);
    else histories.set(row.runId, [row]);
  }
  return histories;
}

async function fencesOf(client: Client): Promise<Map<string, number>> {
  const { rows } = await client.query<{ id: string; at: number }>(
    `select id, (extract(epoch from pg_xact_commit_timestamp(xmin)) * 1000)::float8 as at
       from nestor.process where fenced_at is not null`,
  );
  return new Map(rows.map(({ id, at }) => [id, at]));
}

function byId<Row extends { readonly id: string }>(rows: readonly Row[]): Map<string, Row> {
  return new Map(rows.map((row) => [row.id, row]));
}
