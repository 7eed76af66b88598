import type { TestDatabase } from '@nestor/testing';
import { migrations } from '../../../../migrations/index.js';
import { newId } from '../../../../libs/orchestrator/src/persistence/ids.js';
import { openDataSource } from '../../../../libs/orchestrator/src/persistence/open-data-source.js';
import type { OrchestratorDataSource } from '../../../../libs/orchestrator/src/persistence/orchestrator-data-source.js';
import { Transactions } from '../../../../libs/orchestrator/src/persistence/transactions.js';
import { entities } from '../../../../libs/orchestrator/src/records/entities.js';
import { EventsRepository } from '../../../../libs/orchestrator/src/records/events/events.repository.js';
import { FlowRunClaimsRepository } from '../../../../libs/orchestrator/src/records/flow-runs/flow-run-claims.repository.js';
import { FlowRunsRepository } from '../../../../libs/orchestrator/src/records/flow-runs/flow-runs.repository.js';
import { FlowsRepository } from '../../../../libs/orchestrator/src/records/flows/flows.repository.js';
import type { LeaseClaim, WriteFence } from '../../../../libs/orchestrator/src/records/lease-check.js';
import { LogsRepository } from '../../../../libs/orchestrator/src/records/logs/logs.repository.js';
import { ProcessesRepository } from '../../../../libs/orchestrator/src/records/processes/processes.repository.js';
import { RunValuesRepository } from '../../../../libs/orchestrator/src/records/run-values/run-values.repository.js';
import { TaskRunsRepository } from '../../../../libs/orchestrator/src/records/task-runs/task-runs.repository.js';
import { testDatabase } from '../../../support/database.js';
import { sql } from '../../../support/sql.js';

/** A database without our schema, as a newcomer has it. */
export async function emptyDatabase(): Promise<TestDatabase> {
  const database = await testDatabase();
  await sql(database, 'drop schema nestor cascade');
  return database;
}

interface OpenOptions {
  readonly schema?: string;
  readonly poolSize?: number;
  readonly log?: (line: string) => void;
}

/** Our data source on a database: what an application does before anything else. Whoever opens it destroys it. */
export function open({ url }: Pick<TestDatabase, 'url'>, options: OpenOptions = {}): Promise<OrchestratorDataSource> {
  const { schema = 'nestor', poolSize = 4, log = () => undefined } = options;
  return openDataSource({ app: 'test', schema, database: { url, poolSize }, entities, migrations, log });
}

/** Everything that reads and writes records, on one data source, without the application around it. */
export interface Store {
  readonly dataSource: OrchestratorDataSource;
  readonly transactions: Transactions;
  readonly flows: FlowsRepository;
  readonly flowRuns: FlowRunsRepository;
  readonly claims: FlowRunClaimsRepository;
  readonly taskRuns: TaskRunsRepository;
  readonly runValues: RunValuesRepository;
  readonly processes: ProcessesRepository;
  readonly logs: LogsRepository;
  readonly events: EventsRepository;
  /** What a live process writes under whose rows belong to no run of its own: their claim is number 1. */
  readonly fence: WriteFence;
}

export async function openStore(database: Pick<TestDatabase, 'url'>, options: OpenOptions = {}): Promise<Store> {
  const dataSource = await open(database, options);
  const transactions = new Transactions(dataSource);
  const parts = {
    dataSource,
    transactions,
    claims: new FlowRunClaimsRepository(dataSource, transactions),
    flows: new FlowsRepository(dataSource),
    flowRuns: new FlowRunsRepository(dataSource),
    taskRuns: new TaskRunsRepository(dataSource),
    runValues: new RunValuesRepository(dataSource),
    processes: new ProcessesRepository(dataSource),
    logs: new LogsRepository(dataSource),
    events: new EventsRepository(dataSource),
  };
  return { ...parts, fence: fenceOf(await join(parts), null) };
}

/** Adds a process that executes runs, as each does when it starts; gives its id. */
export async function join(store: Pick<Store, 'transactions' | 'processes'>, app = 'test'): Promise<string> {
  const id = newId();
  const process = { id, app, host: 'somewhere', pid: 1, buildId: null };
  await store.transactions.single((tx) => store.processes.join(tx, process));
  return id;
}

/** What a process writes under; rows refer to the claims by their number, which counts from 1. */
export function fenceOf(processId: string, ...claims: (LeaseClaim | null)[]): WriteFence {
  return { processId, claims };
}
