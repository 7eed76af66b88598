import { StateType, type Instant, type State, type TaskRun } from '@nestor/core';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { newId } from '../../persistence/ids.js';
import { Transactions } from '../../persistence/transactions.js';
import { EventsRepository, type NewEvent } from '../../records/events/events.repository.js';
import { RunValuesRepository, SEED_KEY } from '../../records/run-values/run-values.repository.js';
import { TaskRunsRepository, type RecordedTaskRun } from '../../records/task-runs/task-runs.repository.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { LogLevel, RunLogs } from '../engine/run-logs.js';
import { Payloads } from '../payloads/payloads.service.js';
import { FlowRegistry } from '../registry/flow-registry.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { Journal } from '../transitions/journal.js';
import type { LiveFlowRun } from '../transitions/live-run.js';
import type { RecordedCall } from './recorded-call.js';
import type { ReplayDivergedError } from './replay-diverged.error.js';
import { Replay, type OnDivergence } from './replay.js';

/** Why the body of a run begins again. */
export type ReplayReason =
  /** Its process is gone, or it was suspended: it goes on where it was, failures of its tasks included. */
  | 'resume'
  /** Its attempt failed, or somebody restarts it: what was completed stays, what failed is done again. */
  | 'retry';

/** What is recorded of a run. */
interface RecordedRun {
  /** The calls that have an outcome, in the order in which they came to it. */
  readonly ended: readonly RecordedCall[];
  /** Those that were made and have none. */
  readonly open: readonly Pick<RecordedTaskRun, 'name' | 'taskKey' | 'dynamicKey' | 'parentTaskRunId'>[];
  /** What was drawn from outside, encoded, by key. */
  readonly values: ReadonlyMap<string, string>;
}

/** Why a run begins again that is in this state. */
export function reasonOf(state: State | null): ReplayReason {
  return state?.name === 'AwaitingRetry' ? 'retry' : 'resume';
}

/** Reads what is recorded of a run, for its body to begin again. */
@Injectable()
export class Replays {
  private readonly logger = new Logger(Replays.name);

  constructor(
    private readonly taskRuns: TaskRunsRepository,
    private readonly values: RunValuesRepository,
    private readonly journal: Journal,
    private readonly payloads: Payloads,
    private readonly logs: RunLogs,
    private readonly registry: FlowRegistry,
    private readonly events: EventsRepository,
    private readonly transactions: Transactions,
    private readonly clock: DatabaseClock,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  /** What a column holds, decoded; a database that is away is waited for. */
  read(stored: string): unknown {
    const value = this.payloads.read(stored);
    if (!(value instanceof Promise)) return value;
    let first: Promise<unknown> | null = value;
    return this.journal.patiently(() => {
      const reading = first ?? Promise.resolve(this.payloads.read(stored));
      first = null;
      return reading;
    });
  }

  /**
   * @param onDivergence what the flow says about it; `undefined` leaves it to the build: the same one must do the same again,
   * another one is warned about.
   */
  async load(live: LiveFlowRun, reason: ReplayReason, onDivergence: OnDivergence | undefined): Promise<Replay> {
    const { id, buildId } = live.created;
    const [rows, values] = await this.journal.patiently(() =>
      Promise.all([this.taskRuns.recorded(id), this.values.byKey(id)]),
    );
    const attempt = reason === 'resume' ? live.image.runCount : null;
    const latest = latestByCall(rows, attempt);
    const unfinished = [...latest.values()].filter((row) => kindOf(row, attempt) === 'unfinished').map(({ id }) => id);
    const images = unfinished.length === 0 ? [] : await this.journal.patiently(() => this.taskRuns.loadAll(unfinished));
    const imageById = new Map(images.map((image) => [image.id, image]));
    const thisBuild = this.settings.buildId ?? this.registry.fingerprint;
    const byBuild = buildId === thisBuild ? 'fail' : 'warn';
    return new Replay(
      [...latest.values()].flatMap((row) => recordedCall(row, attempt, id, imageById) ?? []),
      values,
      // A fork is there to do something else; and what a retry finds different, made no difference to a run that failed anyway.
      reason === 'retry' || values.has(SEED_KEY) ? 'run' : (onDivergence ?? byBuild),
      (error) => this.warn(live, error),
    );
  }

  /** What is recorded of a run at present, as whoever goes on with this attempt of it would find it. */
  async recordedBy(flowRunId: string, attempt: number): Promise<RecordedRun> {
    const [rows, ends, values] = await this.journal.patiently(() =>
      Promise.all([
        this.taskRuns.recorded(flowRunId),
        this.taskRuns.inOrderOfEnd(flowRunId),
        this.values.byKey(flowRunId),
      ]),
    );
    const places = new Map(ends.map((id, place) => [id, place]));
    const placeOf = ({ created }: RecordedCall): number => places.get(created.id) ?? ends.length;
    const ended = [...latestByCall(rows, attempt).values()].flatMap(
      (row) => recordedCall(row, attempt, flowRunId, new Map()) ?? [],
    );
    const isOpen = ({ stateType }: RecordedTaskRun): boolean =>
      stateType !== StateType.Completed && stateType !== StateType.Failed;
    return { ended: ended.sort((one, other) => placeOf(one) - placeOf(other)), open: rows.filter(isOpen), values };
  }

  /** In the log of the run, for who reads it, and as an event, for whoever wants to be told. */
  private warn({ created }: LiveFlowRun, error: ReplayDivergedError): void {
    const { id, name } = created;
    this.logs.append({ name, flowRunId: id, taskRunId: null }, LogLevel.Warning, error.message);
    const event = divergence(created, error, this.clock.now());
    this.journal
      .patiently(() => this.transactions.single((tx) => this.events.insert(tx, event)))
      .catch((failure: unknown) =>
        this.logger.warn(`The divergence of flow run ${id} is no event: ${String(failure)}`),
      );
  }
}

/** The event that a resumed run asks for something else than before, and goes on. */
function divergence(
  { id, name, flowId }: LiveFlowRun['created'],
  { message, taskKey, unclaimed }: ReplayDivergedError,
  occurred: Instant,
): NewEvent {
  return {
    id: newId(),
    occurred,
    event: 'nestor.flow-run.diverged',
    resource: { 'prefect.resource.id': `prefect.flow-run.${id}`, 'prefect.resource.name': name },
    related: [{ 'prefect.resource.id': `prefect.flow.${flowId}`, 'prefect.resource.role': 'flow' }],
    payload: { message, taskKey, unclaimed },
  };
}

/** Of several records of one call, from several attempts, the one that counts: what completed, else the latest. */
function latestByCall(rows: readonly RecordedTaskRun[], attempt: number | null): Map<string, RecordedTaskRun> {
  const latest = new Map<string, RecordedTaskRun>();
  for (const row of rows) {
    const key = `${row.taskKey}\0${row.dynamicKey}`;
    const before = latest.get(key);
    if (kindOf(row, attempt) === null || (before && kindOf(before, attempt) === 'completed')) continue;
    latest.set(key, row);
  }
  return latest;
}

/** What a record means for the attempt that begins again; `null` when nothing: the call is made anew. */
function kindOf(
  { stateType, stateName, flowRunRunCount }: RecordedTaskRun,
  attempt: number | null,
): RecordedCall['kind'] | null {
  // What was taken back has been done for the attempt that did so, and for no other.
  if (stateType === StateType.Completed && (stateName !== 'RolledBack' || flowRunRunCount === attempt))
    return 'completed';
  if (flowRunRunCount !== attempt) return null;
  if (stateType === StateType.Failed) return 'failed';
  return stateType === StateType.Cancelled || stateType === StateType.Crashed ? null : 'unfinished';
}

function recordedCall(
  row: RecordedTaskRun,
  attempt: number | null,
  flowRunId: string,
  images: ReadonlyMap<string, TaskRun>,
): RecordedCall | null {
  const { id, parentTaskRunId, name, taskKey, dynamicKey, result } = row;
  const created = {
    id,
    flowRunId,
    parentTaskRunId,
    name,
    taskKey,
    dynamicKey,
    tags: [],
    taskVersion: null,
    inputs: null,
  };
  const kind = kindOf(row, attempt);
  if (kind === null) return null;
  const isOfThisAttempt = row.flowRunRunCount === attempt;
  if (kind !== 'unfinished') return { created, kind, result, isOfThisAttempt };
  const image = images.get(id);
  return image ? { created, kind, image, isOfThisAttempt } : null;
}
