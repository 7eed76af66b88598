import type { BaseJobTemplate, FlowRun, Instant, State, StateType } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { storableText } from '../../persistence/storable-json.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { preparedStatement, Transactions, type PreparedStatement, type Tx } from '../../persistence/transactions.js';
import type { Look } from '../looks/look.js';
import { stateOfRow, type StoredState } from '../state-columns.js';
import { instantParameter } from '../stored-state.js';
import {
  claimFreeFlowRuns,
  claimNamedFlowRun,
  claimQueuedFlowRuns,
  freeMisplacedFlowRuns,
  jobOfFlowRun,
  lockLimitedPool,
  misplacedFlowRuns,
  nextFreeFlowRun,
  nextQueuedFlowRun,
  quietAwaitingFlowRuns,
  releaseFlowRuns,
  statesOfFlowRuns,
  stuckFlowRuns,
  takeFreeFlowRuns,
  takenFlowRuns,
  takeQueuedFlowRuns,
  takeSubmittedFlowRun,
} from './flow-run-claim-statements.js';
import {
  flowRunOfRow,
  newFlowRunOfRow,
  type FlowRunRow,
  type NewFlowRun,
  type NewFlowRunRow,
} from './flow-run-rows.js';

/** Which runs somebody can execute. */
interface Executable {
  readonly app: string;
  readonly flowIds: readonly string[];
  /** The build of the code; `null`, or left out, where it has none, and takes nothing that is pinned. */
  readonly buildId?: string | null;
  /** See `DatabaseClock.leadUs`. */
  readonly leadUs?: number;
}

/** How many runs are taken, and for whom. */
interface ClaimRequest extends Executable {
  readonly processId: string;
  /** Those of its flows of which each run that has begun is for one build alone; default: none. */
  readonly pinnedFlowIds?: readonly string[];
  readonly limit: number;
}

/** Which queues somebody serves. */
export interface ServedQueues {
  readonly poolName: string;
  readonly poolType: string;
  /** By name; `null` for all of the pool, also those that are made later. */
  readonly queueNames: readonly string[] | null;
}

/** A run that was claimed, with all that is needed to begin it. */
export interface ClaimedFlowRun {
  readonly created: NewFlowRun;
  readonly run: FlowRun;
  /**
   * The state it is in. What somebody may have said about it is left out where the run has never begun and nothing is
   * special about the state: what it says of the time is in the row of the run, and most runs are claimed like this.
   */
  readonly state: State;
  readonly leaseEpoch: number;
  readonly workQueueId: string | null;
  /** Whether it counts against a limit of its queue or its pool, or may count against one of its key: others wait for its end. */
  readonly isLimited: boolean;
  /** What is said of its infrastructure beyond the template of its pool and its deployment. */
  readonly jobVariables: Readonly<Record<string, unknown>> | null;
}

/** What is said of the infrastructure of a run. */
interface StoredJob {
  readonly template: Partial<BaseJobTemplate> | null;
  readonly deploymentVariables: Readonly<Record<string, unknown>> | null;
  readonly runVariables: Readonly<Record<string, unknown>> | null;
}

/** When somebody should look for runs again. */
export interface NextRun {
  /** Milliseconds until the next run is due that could be taken; `null` when none waits, or none may be taken now. */
  readonly ms: number | null;
  /** Whether runs wait in lines of keys and are due, so that all have to be taken in turn. */
  readonly inTurn: boolean;
}

/** A run and the epoch under which it is held. */
export interface HeldFlowRun {
  readonly id: string;
  readonly leaseEpoch: number;
}

interface ClaimedRow extends NewFlowRunRow, FlowRunRow {
  readonly leaseEpoch: number;
  readonly workQueueId: string | null;
  readonly jobVariables: Record<string, unknown> | null;
  readonly isLimited: boolean;
  readonly stateId: string;
  readonly stateType: StateType;
  readonly stateName: string;
  readonly stateTimestamp: Instant;
}

/** What of a state is in its own row alone. */
type SaidOfState = Pick<StoredState, 'id' | 'message' | 'stateDetails'>;

/** Takes waiting runs for a process that executes them, and lets go of them. */
@Injectable()
export class FlowRunClaimsRepository {
  private readonly freeStatement: PreparedStatement;
  private readonly namedStatement: PreparedStatement;
  private readonly queuedStatement: PreparedStatement;
  private readonly lockStatement: PreparedStatement;
  private readonly freeInTurnStatement: PreparedStatement;
  private readonly queuedInTurnStatement: PreparedStatement;
  private readonly takenStatement: PreparedStatement;
  private readonly statesStatement: PreparedStatement;
  private readonly nextFreeStatement: PreparedStatement;
  private readonly nextQueuedStatement: PreparedStatement;
  private readonly quietStatement: PreparedStatement;
  private readonly schema: string;

  constructor(
    @Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource,
    private readonly transactions: Transactions,
  ) {
    this.schema = schemaOf(dataSource);
    this.freeStatement = preparedStatement('claim_free_flow_runs', claimFreeFlowRuns(this.schema));
    this.namedStatement = preparedStatement('claim_named_flow_run', claimNamedFlowRun(this.schema));
    this.queuedStatement = preparedStatement('claim_queued_flow_runs', claimQueuedFlowRuns(this.schema));
    this.lockStatement = preparedStatement('lock_limited_pool', lockLimitedPool(this.schema));
    this.freeInTurnStatement = preparedStatement('take_free_flow_runs', takeFreeFlowRuns(this.schema));
    this.queuedInTurnStatement = preparedStatement('take_queued_flow_runs', takeQueuedFlowRuns(this.schema));
    this.takenStatement = preparedStatement('taken_flow_runs', takenFlowRuns(this.schema));
    this.statesStatement = preparedStatement('states_of_flow_runs', statesOfFlowRuns(this.schema));
    this.nextFreeStatement = preparedStatement('next_free_flow_run', nextFreeFlowRun(this.schema));
    this.nextQueuedStatement = preparedStatement('next_queued_flow_run', nextQueuedFlowRun(this.schema));
    this.quietStatement = preparedStatement('quiet_awaiting_flow_runs', quietAwaitingFlowRuns(this.schema));
  }

  /**
   * Takes up to `limit` due runs of no queue, the first to go first. None when the process is fenced, and none where runs
   * wait in lines: see {@link claimFreeInTurn}.
   */
  async claimFree(tx: Tx, { processId, limit, leadUs = 0, ...who }: ClaimRequest): Promise<ClaimedFlowRun[]> {
    const { app, flowIds, buildId = null, pinnedFlowIds = [] } = who;
    const parameters = [processId, app, flowIds, limit, leadUs, buildId, pinnedFlowIds];
    return this.claimedFrom(await tx.query<ClaimedRow>(this.freeStatement, parameters), tx);
  }

  /**
   * Takes that one run, if it is one that {@link claimFree} could take. A crash of the server may swallow the claim as long as
   * nothing of the run has been written under it: it waits again then.
   */
  async claimNamed(
    tx: Tx,
    { processId, leadUs = 0, ...who }: Omit<ClaimRequest, 'limit'>,
    flowRunId: string,
  ): Promise<ClaimedFlowRun[]> {
    const { app, flowIds, buildId = null, pinnedFlowIds = [] } = who;
    const parameters = [processId, app, flowIds, flowRunId, leadUs, buildId, pinnedFlowIds];
    return this.claimedFrom(await tx.query<ClaimedRow>(this.namedStatement, parameters), tx);
  }

  /**
   * {@link claimFree} where runs wait in lines, one for each key: the lines take turns with one another, and with the runs
   * that have no key. Runs whose key is at its limit are left where they are; those that are taken have their slots.
   */
  claimFreeInTurn({ processId, limit, leadUs = 0, ...who }: ClaimRequest): Promise<ClaimedFlowRun[]> {
    const { app, flowIds, buildId = null, pinnedFlowIds = [] } = who;
    const parameters = [processId, app, flowIds, limit, leadUs, buildId, pinnedFlowIds];
    return this.taken(processId, this.freeInTurnStatement, parameters);
  }

  /**
   * {@link claimQueued} where runs wait in lines of keys: see {@link claimFreeInTurn}. What waits for calls to stop is taken ahead of
   * its time like all others: see {@link areSomeAwaitingQuiet}.
   */
  claimQueuedInTurn(
    { processId, limit, leadUs = 0, ...who }: ClaimRequest,
    { poolName, poolType, queueNames }: ServedQueues,
    prefetchUs = 0,
  ): Promise<ClaimedFlowRun[]> {
    const { app, flowIds, buildId = null, pinnedFlowIds = [] } = who;
    const parameters = [
      ...[processId, app, flowIds, limit, leadUs, poolName, poolType, queueNames, prefetchUs],
      ...[buildId, pinnedFlowIds],
    ];
    return this.taken(processId, this.queuedInTurnStatement, parameters);
  }

  private async taken(
    processId: string,
    statement: PreparedStatement,
    parameters: readonly unknown[],
  ): Promise<ClaimedFlowRun[]> {
    const runs = await this.transactions.single((tx) =>
      tx.query<{ id: string; isLimited: boolean }>(statement, parameters),
    );
    if (runs.length === 0) return [];
    const taken = [processId, runs.map(({ id }) => id), runs.map(({ isLimited }) => isLimited)];
    return this.transactions.single(async (tx) =>
      this.claimedFrom(await tx.query<ClaimedRow>(this.takenStatement, taken), tx),
    );
  }

  /** The runs of these rows, with what is to be known of the states they are in. */
  private async claimedFrom(rows: readonly ClaimedRow[], within?: Tx): Promise<ClaimedFlowRun[]> {
    const begun = rows.filter((row) => row.runCount > 0 || row.stateName !== 'Scheduled');
    if (begun.length === 0) return rows.map((row) => claimedFlowRunOf(row));
    const which = [begun.map(({ id }) => id), begun.map(({ stateTimestamp }) => instantParameter(stateTimestamp))];
    const ask = (tx: Tx): Promise<SaidOfState[]> => tx.query(this.statesStatement, which);
    const said = await (within ? ask(within) : this.transactions.single(ask));
    const byId = new Map(said.map((state) => [state.id, state]));
    return rows.map((row) => claimedFlowRunOf(row, byId.get(row.stateId)));
  }

  /**
   * Takes up to `limit` due runs from queues, the first to go first, and never more than the limits of pool and queues allow,
   * whoever else claims at the same moment. None when the process is fenced, and none where runs wait in lines: see
   * {@link claimQueuedInTurn}.
   *
   * @param prefetchUs how long before its time a run may be taken, unless it waits for calls to stop.
   */
  async claimQueued(
    { processId, limit, leadUs = 0, ...who }: ClaimRequest,
    { poolName, poolType, queueNames }: ServedQueues,
    prefetchUs = 0,
  ): Promise<ClaimedFlowRun[]> {
    const { app, flowIds, buildId = null, pinnedFlowIds = [] } = who;
    const parameters = [
      ...[processId, app, flowIds, limit, leadUs, poolName, poolType, queueNames, prefetchUs],
      ...[buildId, pinnedFlowIds],
    ];
    // The lock first, in a statement of its own: only the statement after it sees what others claimed while this one waited.
    const [, rows = []] = await this.transactions.together<ClaimedRow[]>([
      (tx) => tx.query(this.lockStatement, [poolName]),
      (tx) => tx.query(this.queuedStatement, parameters),
    ]);
    return this.claimedFrom(rows);
  }

  /**
   * Takes over a run that a worker submitted under an epoch; `null` when it is not to be had: it was taken before, or taken back.
   * One that is not to begin any more is none of those.
   */
  async takeSubmitted(
    tx: Tx,
    { processId, app, buildId = null, pinnedFlowIds = [] }: Omit<ClaimRequest, 'flowIds' | 'limit' | 'leadUs'>,
    { flowRunId, epoch }: { readonly flowRunId: string; readonly epoch: number },
  ): Promise<ClaimedFlowRun | null> {
    const rows = await tx.query<ClaimedRow>(takeSubmittedFlowRun(this.schema), [
      ...[processId, flowRunId, epoch, app, buildId, pinnedFlowIds],
    ]);
    const [claimed] = await this.claimedFrom(rows, tx);
    return claimed ?? null;
  }

  /** What is said of the infrastructure of a run: by the pool, the deployment and the run. */
  async jobOf(flowRunId: string): Promise<StoredJob> {
    const [row] = await this.dataSource.query<StoredJob[]>(jobOfFlowRun(this.schema), [flowRunId]);
    return row ?? { template: null, deploymentVariables: null, runVariables: null };
  }

  /** Keeps where a run is executed that was submitted under that epoch, also when it has been taken over since. */
  async noteInfrastructure(tx: Tx, flowRunId: string, epoch: number, identifier: string): Promise<void> {
    await tx.query(
      `update ${this.schema}.flow_run set infrastructure_pid = $3, updated = now()
        where id = $1 and lease_epoch between $2::integer and $2::integer + 1`,
      [flowRunId, epoch, storableText(identifier)],
    );
  }

  /** When the next run of no queue is due that could be taken. */
  nextFree({ app, flowIds, buildId = null, leadUs = 0 }: Executable): Promise<NextRun> {
    return this.next(this.nextFreeStatement, [app, flowIds, leadUs, buildId]);
  }

  /** The same in milliseconds alone. */
  async nextFreeInMs(who: Executable): Promise<number | null> {
    return (await this.nextFree(who)).ms;
  }

  /**
   * When the next run of queues is due that could be taken.
   *
   * @param askedForOnly leaves out what schedules have made, and what has a key.
   * @param prefetchUs how long before its time a run may be taken: those that may not, because they wait for calls to stop,
   * are told of so much later.
   */
  nextQueued(
    { app, flowIds, buildId = null, leadUs = 0 }: Executable,
    { poolName, poolType, queueNames }: ServedQueues,
    askedForOnly = false,
    prefetchUs = 0,
  ): Promise<NextRun> {
    const parameters = [app, flowIds, leadUs, poolName, poolType, queueNames, buildId, askedForOnly, prefetchUs];
    return this.next(this.nextQueuedStatement, parameters);
  }

  /** {@link nextFree} as a {@link Look}. */
  lookForFree({ app, flowIds, buildId = null, leadUs = 0 }: Executable): Look {
    return { text: nextFreeFlowRun(this.schema), parameters: [app, flowIds, leadUs, buildId], finds: 'ms' };
  }

  /** {@link nextQueued} as a {@link Look}, so much earlier. */
  lookForQueued(
    { app, flowIds, buildId = null, leadUs = 0 }: Executable,
    { poolName, poolType, queueNames }: ServedQueues,
    prefetchMs: number,
  ): Look {
    return {
      text: `select next.ms - $9::bigint / 1000.0 as ms from (${nextQueuedFlowRun(this.schema)}) as next`,
      parameters: [app, flowIds, leadUs, poolName, poolType, queueNames, buildId, false, prefetchMs * 1_000],
      finds: 'ms',
    };
  }

  /** Whether runs wait in queues for calls to stop that are due within so many microseconds, and not yet. */
  async areSomeAwaitingQuiet(
    { app, leadUs = 0 }: Pick<Executable, 'app' | 'leadUs'>,
    { poolName, poolType, queueNames }: ServedQueues,
    withinUs: number,
  ): Promise<boolean> {
    const parameters = [app, leadUs, withinUs, poolName, poolType, queueNames];
    const rows = await this.transactions.single((tx) =>
      tx.query<{ areSome: boolean }>(this.quietStatement, parameters),
    );
    return rows[0]?.areSome ?? false;
  }

  private async next(statement: PreparedStatement, parameters: readonly unknown[]): Promise<NextRun> {
    const rows = await this.transactions.single((tx) => tx.query<NextRun>(statement, parameters));
    return rows[0] ?? NOTHING_WAITS;
  }

  /** Root runs that a process holds and has not begun, or that wait for their next attempt in it. */
  claimedBy(processId: string): Promise<HeldFlowRun[]> {
    return this.dataSource.query<HeldFlowRun[]>(
      `select id, lease_epoch as "leaseEpoch"
         from ${this.schema}.flow_run where process_id = $1 and state_type = 'SCHEDULED' order by id`,
      [processId],
    );
  }

  /** Runs of queues that were submitted longer ago than that and have not begun. */
  stuckInPending(
    app: string,
    forMs: number,
    limit: number,
    leadUs = 0,
  ): Promise<{ readonly id: string; readonly stateId: string }[]> {
    return this.dataSource.query(stuckFlowRuns(this.schema), [app, forMs, limit, leadUs]);
  }

  /** Whether there are any that are {@link stuckInPending}, or to be freed by {@link freeMisplaced}. */
  looksForStray(app: string, forMs: number, limit: number, leadUs: number): Look[] {
    return [
      { text: stuckFlowRuns(this.schema), parameters: [app, forMs, limit, leadUs], finds: 'rows' },
      { text: misplacedFlowRuns(this.schema), parameters: [], finds: 'rows' },
    ];
  }

  /** Takes runs that wait out of queues that are gone; gives how many. */
  async freeMisplaced(tx: Tx): Promise<number> {
    const [row] = await tx.query<{ count: number }>(freeMisplacedFlowRuns(this.schema));
    return row?.count ?? 0;
  }

  /** Changes what a run is called with that a process holds under this epoch and has not begun; tells whether it does. */
  async keepParameters(
    tx: Tx,
    { processId, id, leaseEpoch }: HeldFlowRun & { readonly processId: string },
    parameters: string,
  ): Promise<boolean> {
    const rows = await tx.query(
      `with kept as (
         update ${this.schema}.flow_run set parameters = $4::json, updated = now()
          where id = $1 and process_id = $2 and lease_epoch = $3 returning id
       ) select id from kept`,
      [id, processId, leaseEpoch, parameters],
    );
    return rows.length > 0;
  }

  /** Lets go of runs that a process holds under these epochs; their states stay as they are. */
  async release(tx: Tx, processId: string, held: readonly HeldFlowRun[]): Promise<void> {
    const [ids, epochs] = [held.map(({ id }) => id), held.map(({ leaseEpoch }) => leaseEpoch)];
    await tx.query(releaseFlowRuns(this.schema), [processId, ids, epochs]);
  }
}

const NOTHING_WAITS: NextRun = { ms: null, inTurn: false };

function claimedFlowRunOf(row: ClaimedRow, said?: SaidOfState): ClaimedFlowRun {
  const { leaseEpoch, workQueueId, jobVariables, isLimited } = row;
  const known = { id: row.stateId, type: row.stateType, name: row.stateName, timestamp: row.stateTimestamp };
  const state = said ? stateOfRow({ ...known, ...said }) : waitingState(known, row.nextScheduledStartTime);
  const run = { ...flowRunOfRow(row, null), state };
  return { created: newFlowRunOfRow(row), run, state, leaseEpoch, workQueueId, jobVariables, isLimited };
}

/** The state of a run that waits for its time, and has never begun. */
const waitingState = (known: Omit<State, 'message' | 'details'>, time: Instant | null): State => ({
  ...known,
  message: null,
  details: time === null ? {} : { scheduledTime: time },
});
