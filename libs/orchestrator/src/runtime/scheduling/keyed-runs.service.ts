import { scheduled, type Instant } from '@nestor/core';
import { Injectable } from '@nestjs/common';
import { Transactions, type Tx } from '../../persistence/transactions.js';
import { isUntaken, SharedRunsRepository, type SharedRun } from '../../records/flow-runs/shared-runs.repository.js';
import type { WaitingFlowRun } from '../../records/flow-runs/waiting-flow-run-rows.js';
import { WaitingFlowRunsRepository } from '../../records/flow-runs/waiting-flow-runs.repository.js';
import { isWithinRun } from '../engine/id-of-call.js';
import { Journal } from '../transitions/journal.js';
import { StoredRuns } from '../transitions/stored-runs.service.js';
import { ScheduledRuns, type ScheduledFlow, type ScheduledRun } from './scheduled-runs.service.js';
import { RESERVED } from './sharing.js';

/** A call that gets the run of a key. */
export interface KeyedCall {
  readonly flow: ScheduledFlow;
  readonly key: string;
  /** The run that is created where it gets one of its own. */
  readonly waiting: WaitingFlowRun;
  /** Under which its answer is kept, for a run that makes the call again; `null` for calls from outside any run. */
  readonly answerKey: string | null;
}

/** What becomes of calls, in their order. */
export interface Decided {
  /** The run of each; that of the last has the key from now on. */
  readonly runs: readonly ScheduledRun[];
  /** Those of them that have to be created. */
  readonly made: readonly WaitingFlowRun[];
  /** When runs are due that are so at another time by this. */
  readonly dueAt: ReadonlyMap<string, Instant>;
}

/** The key under which the answer to a call is kept that a run makes; `null` outside any run. */
export function answerKeyOf(callId: string): string | null {
  return isWithinRun() ? `${RESERVED}call:${callId}` : null;
}

/** Gives calls the runs that have keys: whoever has the key of a run decides alone, under a lock, what becomes of it. */
@Injectable()
export class KeyedRuns {
  constructor(
    private readonly scheduledRuns: ScheduledRuns,
    private readonly storedRuns: StoredRuns,
    private readonly sharedRuns: SharedRunsRepository,
    private readonly waitingRuns: WaitingFlowRunsRepository,
    private readonly transactions: Transactions,
    private readonly journal: Journal,
  ) {}

  /**
   * The runs of calls with the same key; durable when this resolves. A call that a run makes once more, after a crash or in
   * another attempt, gets the run that it got before, whatever has become of that.
   *
   * @param decide what becomes of the calls that have no answer yet, at least one, while nobody else can share the run that
   * has the key; `null` where none has it. It may write as well; asked again when nobody heard of the commit.
   */
  async answer<Call extends KeyedCall>(
    calls: readonly [Call, ...Call[]],
    decide: (tx: Tx, calls: readonly Call[], known: SharedRun | null) => Promise<Decided>,
  ): Promise<readonly ScheduledRun[]> {
    const { runs, dueAt } = await this.journal.patiently(() =>
      this.transactions.run((tx) => this.answerWithin(tx, calls, (left, known) => decide(tx, left, known))),
    );
    for (const [id, at] of dueAt) await this.reschedule(id, at);
    this.scheduledRuns.announce();
    return runs;
  }

  private async answerWithin<Call extends KeyedCall>(
    tx: Tx,
    calls: readonly [Call, ...Call[]],
    decide: (calls: readonly Call[], known: SharedRun | null) => Promise<Decided>,
  ): Promise<Pick<Decided, 'runs' | 'dueAt'>> {
    const [{ flow, key, waiting }] = calls;
    const holder = await this.sharedRuns.lockKey(tx, flow.id, key, waiting.created.id);
    const answers = await this.answersOf(tx, flow, calls);
    const left = calls.filter((call) => !answers.has(call));
    if (left.length === 0) return { runs: calls.flatMap((call) => answers.get(call) ?? []), dueAt: new Map() };
    const { runs, made, dueAt } = await decide(left, await this.sharedRuns.lock(tx, holder));
    if (made.length > 0) await this.waitingRuns.create(tx, made);
    left.forEach((call, index) => answers.set(call, runs[index]!));
    const last = runs.at(-1);
    if (last && last.id !== holder) await this.sharedRuns.giveKey(tx, flow.id, key, last.id);
    await this.keepAnswers(tx, flow, left, answers);
    return { runs: calls.flatMap((call) => answers.get(call) ?? []), dueAt };
  }

  private async answersOf<Call extends KeyedCall>(
    tx: Tx,
    flow: ScheduledFlow,
    calls: readonly Call[],
  ): Promise<Map<Call, ScheduledRun>> {
    const keys = calls.flatMap(({ answerKey }) => answerKey ?? []);
    const found = keys.length === 0 ? null : await this.waitingRuns.findByKeys(flow.id, keys, tx);
    const answers = new Map<Call, ScheduledRun>();
    for (const call of calls) {
      const run = call.answerKey === null ? undefined : found?.get(call.answerKey);
      if (run) answers.set(call, { ...run, isNew: false });
    }
    return answers;
  }

  private async keepAnswers<Call extends KeyedCall>(
    tx: Tx,
    flow: ScheduledFlow,
    calls: readonly Call[],
    answers: ReadonlyMap<Call, ScheduledRun>,
  ): Promise<void> {
    const kept = calls.flatMap((call) => {
      const run = answers.get(call);
      return call.answerKey === null || !run ? [] : [{ key: call.answerKey, flowRunId: run.id }];
    });
    if (kept.length > 0) await this.sharedRuns.keepKeys(tx, flow.id, kept);
  }

  /** One that somebody has taken in this moment has begun with what it is called with by now: its time is no matter any more. */
  private async reschedule(flowRunId: string, scheduledTime: Instant): Promise<void> {
    const state = scheduled({ scheduledTime, message: 'Called again.' });
    await this.journal.patiently(() => this.storedRuns.proposeOnce(flowRunId, ({ row }) => isUntaken(row), state));
  }
}
