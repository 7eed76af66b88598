import { spread } from '@nestor/core';
import { Injectable, Logger } from '@nestjs/common';
import { newId } from '../../persistence/ids.js';
import { Transactions } from '../../persistence/transactions.js';
import {
  ConcurrencyClaimsRepository,
  type ClaimAnswer,
} from '../../records/concurrency-limits/concurrency-claims.repository.js';
import type { Attempt } from '../engine/attempt.js';
import { EngineStoppingError } from '../engine/engine-errors.js';
import { currentScope } from '../engine/run-scope.js';
import { relatedToRun } from '../events/related-to-run.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { JournalClosedError } from '../transitions/journal-closed.error.js';
import { Journal } from '../transitions/journal.js';
import {
  ConcurrencyTimeoutError,
  NoSlotDecayError,
  TooManySlotsError,
  UnknownConcurrencyLimitError,
} from './concurrency-errors.js';
import { HandOver } from './hand-over.service.js';
import type { HeldSlots } from './held-slots.js';
import type { SlotRequest } from './slot-blocking.js';
import { SlotEvents } from './slot-events.service.js';
import { SlotLine } from './slot-line.service.js';
import { WaitDeadline } from './wait-deadline.js';

/** Who asks. */
interface Asker {
  readonly attempt: Attempt | null;
  readonly flowRunId: string | null;
  readonly taskRunId: string | null;
}

/** Those who were turned away together come back apart. */
const WAIT_JITTER = 0.3;

/** Of its lease, that much may be over unheard when the code begins; otherwise it is renewed first. */
const MAX_UNHEARD = 0.1;

const MAX_WARNINGS = 1_000;

/**
 * Takes slots for code that runs in this process, and gives them back. They belong to the process: when it is fenced they are
 * free, whatever became of the code. A database that is away is waited for.
 */
@Injectable()
export class Slots {
  private readonly logger = new Logger('Concurrency');
  /** What is held by code of this process. */
  readonly held = new Set<HeldSlots>();
  /** Names without a limit, each of which is warned of once. */
  private readonly warnedOf = new Set<string>();

  constructor(
    private readonly claims: ConcurrencyClaimsRepository,
    private readonly transactions: Transactions,
    private readonly line: SlotLine,
    private readonly handOver: HandOver,
    private readonly events: SlotEvents,
    private readonly process: ProcessLease,
    private readonly journal: Journal,
    private readonly clock: DatabaseClock,
  ) {}

  /**
   * Takes slots, of all the limits or of none; waits for them in line. Within a run it ends with the attempt that asks.
   *
   * @param asker by default the code that calls it.
   * @returns what is held; `null` where there is nothing to hold, because there are no such limits, or because it is a rate.
   * @throws {UnknownConcurrencyLimitError}, {@link TooManySlotsError}, {@link NoSlotDecayError} when they cannot be had at all.
   * @throws {ConcurrencyTimeoutError} when they were not to be had in time.
   * @throws {RunEndedError} and its like when the attempt is over, {@link EngineStoppingError} when the application stops.
   */
  async acquire(request: SlotRequest, asker: Asker = askerHere()): Promise<HeldSlots | null> {
    const deadline = new WaitDeadline(request.timeoutMs, asker.attempt, (ms, call) => this.clock.callAfter(ms, call));
    try {
      return await this.acquireUntil(deadline, request, asker);
    } finally {
      deadline.end();
    }
  }

  /** Gives slots back: whoever waits longest for them has them when this resolves. Never rejects. */
  async release(held: HeldSlots): Promise<void> {
    if (!this.held.delete(held)) return;
    await this.end(held.claimId);
    if (held.events) this.events.append('released', held.taken, held.slots, held.related, held.events);
  }

  private async acquireUntil(deadline: WaitDeadline, request: SlotRequest, asker: Asker): Promise<HeldSlots | null> {
    let refusals = 0;
    for (;;) {
      asker.attempt?.assertLive();
      const { processId } = this.process;
      const claimId = newId();
      const askedAt = performance.now();
      const answer = await this.ask(request, asker, claimId, processId);
      switch (answer.outcome) {
        case 'fenced':
          await this.process.fencedOut(processId);
          if (this.process.processId === processId) throw new EngineStoppingError('concurrency()');
          continue;
        case 'refused':
          if (refusals === (request.maxRetries ?? 0)) throw timedOut(request);
          refusals += 1;
          await deadline.pause(spread(answer.waitMs ?? 0, WAIT_JITTER, Math.random()));
          if (deadline.isPassed && !asker.attempt?.ended) throw timedOut(request);
          continue;
        case 'waiting':
          if (!(await this.standInLine(request, asker, claimId, answer.waitMs, deadline))) continue;
          break;
        case 'unlimited':
          if (!request.isSilent) this.warnOf(answer);
          return null;
        default:
          if (!request.isSilent) this.warnOf(answer);
      }
      if (!(await this.isStillHeld(request, claimId, askedAt))) continue;
      return this.take(request, asker, claimId, processId, answer);
    }
  }

  /** Whether the claim has its slots at the end; otherwise it is gone, and has to be made anew. */
  private async standInLine(
    request: SlotRequest,
    { attempt }: Asker,
    claimId: string,
    waitMs: number | null,
    deadline: WaitDeadline,
  ): Promise<boolean> {
    const letGo = attempt?.hold(); // it runs nothing: a suspension need not wait for it
    const waited = this.line.wait(claimId, request.isRate ? waitMs : null, attempt);
    const end = await deadline.within(waited);
    letGo?.();
    this.line.leave(claimId);
    if (end === 'granted') return true;
    if (end === 'gone') return false;
    await this.end(claimId);
    if (end === 'too-many') throw new TooManySlotsError(request.names.join('", "'), request.slots);
    if (end === 'stopped') throw new EngineStoppingError('concurrency()');
    attempt?.assertLive();
    throw timedOut(request);
  }

  /**
   * Whether slots that were granted are not lost again. Their lease began with the grant, at an unknown time since they were asked
   * for: where that is long ago it is renewed, because nobody else does so before the code begins.
   */
  private async isStillHeld({ leaseMs }: SlotRequest, claimId: string, askedAt: number): Promise<boolean> {
    if (leaseMs === null || performance.now() - askedAt < leaseMs * MAX_UNHEARD) return true;
    const isRenewed = await this.journal.patiently(() =>
      this.transactions.single((tx) => this.claims.renew(tx, claimId, leaseMs)),
    );
    if (!isRenewed) await this.end(claimId);
    return isRenewed;
  }

  private async take(
    { isRate, slots, isSilent = false }: SlotRequest,
    { attempt }: Asker,
    claimId: string,
    processId: string,
    { limits, outcome }: ClaimAnswer,
  ): Promise<HeldSlots | null> {
    const taken = limits ?? [];
    // What is taken at a rate is over with the taking; a claim that had to wait is there until it is told.
    if (isRate && outcome === 'waiting') await this.end(claimId);
    if (attempt?.ended && !isRate) await this.end(claimId);
    attempt?.assertLive();
    const related = isSilent ? [] : relatedToRun();
    const events = isSilent ? null : this.events.append('acquired', taken, slots, related);
    if (isRate) return null;
    const held: HeldSlots = { claimId, taken, slots, processId, related, events };
    this.held.add(held);
    return held;
  }

  private async ask(
    request: SlotRequest,
    { flowRunId, taskRunId }: Asker,
    id: string,
    processId: string,
  ): Promise<ClaimAnswer> {
    const mayWait = request.maxRetries === null && request.timeoutMs !== 0;
    const claim = { ...request, id, mayWait, processId, flowRunId, taskRunId, holder: null };
    if (!request.isSilent) await this.events.whenRoom();
    const answer = await this.journal.patiently(() =>
      this.transactions.single((tx) => this.claims.acquire(tx, claim, this.clock.leadUs)),
    );
    const culprit = answer.culprit ?? '';
    if (answer.outcome === 'unknown') throw new UnknownConcurrencyLimitError(answer.unknown ?? []);
    if (answer.outcome === 'too-many') throw new TooManySlotsError(culprit, request.slots);
    if (answer.outcome === 'no-decay') throw new NoSlotDecayError(culprit);
    return answer;
  }

  private async end(claimId: string): Promise<void> {
    try {
      await this.journal.patiently(() => this.handOver.release([claimId]));
    } catch (error) {
      if (error instanceof JournalClosedError) return; // the process leaves, and its slots are freed for it
      this.logger.error(`Slots could not be given back; they are free when this process ends. ${String(error)}`);
    }
  }

  private warnOf({ unknown }: ClaimAnswer): void {
    for (const name of unknown ?? []) {
      if (this.warnedOf.has(name) || this.warnedOf.size >= MAX_WARNINGS) continue;
      this.warnedOf.add(name);
      this.logger.warn(`There is no concurrency limit "${name}": what names it is not limited by it.`);
    }
  }
}

function askerHere(): Asker {
  const scope = currentScope();
  const { flowRun = null, taskRun = null } = scope?.place ?? {};
  return {
    attempt: scope?.attempt ?? null,
    flowRunId: flowRun?.created.id ?? null,
    taskRunId: taskRun?.created.id ?? null,
  };
}

function timedOut({ names, slots, timeoutMs }: SlotRequest): ConcurrencyTimeoutError {
  return new ConcurrencyTimeoutError(names, slots, timeoutMs);
}
