import { formatInstant, type Instant } from '@nestor/core';
import { Injectable } from '@nestjs/common';
import { isId } from '../../persistence/ids.js';
import { FairLinesRepository } from '../../records/fair-lines/fair-lines.repository.js';
import { FlowRunNotFoundError } from '../../records/flow-runs/flow-run-not-found.error.js';
import { RunSituationsRepository, type LiveProcess } from '../../records/flow-runs/run-situations.repository.js';
import { RunInputNotFoundError } from '../inputs/input-errors.js';
import { RunInputs } from '../inputs/run-inputs.service.js';
import { DEATH_RULES } from '../leases/lease-settings.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { ableProcesses } from './able-processes.js';
import { deployment } from './checks/deployment.check.js';
import { dueTime } from './checks/due-time.check.js';
import { ended } from './checks/ended.check.js';
import { holder } from './checks/holder.check.js';
import { line } from './checks/line.check.js';
import { partOfRun } from './checks/part-of-run.check.js';
import { loops } from './checks/loops.check.js';
import { paused } from './checks/paused.check.js';
import { processes } from './checks/processes.check.js';
import { queue } from './checks/queue.check.js';
import { room } from './checks/room.check.js';
import { share } from './checks/share.check.js';
import { slots } from './checks/slots.check.js';
import { turn } from './checks/turn.check.js';
import { namedProcess, type ExaminedRun, type RunCheck } from './run-check.js';
import type { RunDiagnosis, RunReason } from './run-reason.js';

/** In the order in which their reasons are told: what has happened, what is awaited, who could do it, what goes first. */
const CHECKS: readonly RunCheck[] = [
  ...[ended, partOfRun, holder, paused, dueTime, turn],
  ...[queue, room, slots, processes, loops, share, line, deployment],
];

/** Reasons that are nothing in its way, and yet all there is to say. */
const EXPLAINED: readonly RunReason['code'][] = ['RUNNING', 'PART_OF_RUN'];

/** Finds out why runs are not running. Reads only. */
@Injectable()
export class RunDiagnoses {
  constructor(
    private readonly situations: RunSituationsRepository,
    private readonly lines: FairLinesRepository,
    private readonly inputs: RunInputs,
    private readonly clock: DatabaseClock,
  ) {}

  /**
   * @throws {FlowRunNotFoundError} when there is no run of that id.
   * @throws the errors with codes `PAYLOAD_…` when what a paused run asks for cannot be read in this process.
   */
  async of(flowRunId: string): Promise<RunDiagnosis> {
    const situation = isId(flowRunId) ? await this.situations.find(flowRunId, DEATH_RULES) : null;
    if (!situation) throw new FlowRunNotFoundError(flowRunId);
    const { row, flowName } = situation;
    let alive: Promise<LiveProcess[]> | null = null;
    const run: ExaminedRun = {
      ...situation,
      now: this.clock.now(),
      leadUs: this.clock.leadUs,
      records: this.situations,
      lines: this.lines,
      processes: () => (alive ??= this.situations.liveProcesses(row.app, DEATH_RULES)),
      input: (key) => this.input(row.id, key),
    };
    const reasons: RunReason[] = [];
    for (const check of CHECKS) reasons.push(...(await check(run)));
    const isExplained = reasons.some(({ blocks, code }) => blocks || EXPLAINED.includes(code));
    const { id, name, stateType, stateName } = row;
    const all = isExplained ? reasons : [await due(run), ...reasons];
    return { flowRunId: id, name, flowName, stateType, stateName, reasons: all };
  }

  /** `null` when the run keeps none there, as one that has been answered meanwhile. What cannot be read is not nothing. */
  private async input(flowRunId: string, key: string): Promise<unknown> {
    try {
      return await this.inputs.get(flowRunId, key);
    } catch (error) {
      if (error instanceof RunInputNotFoundError) return null;
      throw error;
    }
  }
}

/** Nothing is in its way: somebody just has not looked yet. */
async function due(run: ExaminedRun): Promise<RunReason> {
  const { withRoom } = await ableProcesses(run);
  const since: Instant | null = run.row.nextScheduledStartTime ?? run.row.stateTimestamp;
  return {
    code: 'DUE',
    message:
      `Nothing is in its way${since === null ? '' : `; it is due since ${formatInstant(since)}`}. One of ${withRoom.length} ` +
      `processes takes it with its next look, within five seconds; if it is due for longer, they are behind: see their logs.`,
    blocks: false,
    data: { since, processes: withRoom.map(namedProcess) },
  };
}
