import { Injectable } from '@nestjs/common';
import type { Instant } from '@nestor/core';
import type { Tx } from '../../persistence/transactions.js';
import { SharedRunsRepository, type SharedRun } from '../../records/flow-runs/shared-runs.repository.js';
import type { WaitingFlowRun } from '../../records/flow-runs/waiting-flow-run-rows.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { CallsByKey } from './calls-by-key.js';
import { answerKeyOf, KeyedRuns, type Decided, type KeyedCall } from './keyed-runs.service.js';
import {
  ScheduledRuns,
  type ScheduledFlow,
  type ScheduledRun,
  type ScheduledRunRequest,
} from './scheduled-runs.service.js';
import type { Sharing } from './sharing.js';

/** A call that may get the run of another one. */
interface SharingCall extends KeyedCall {
  readonly sharing: Sharing;
}

/** Calls are prepared by so many. */
const BATCH = 1_000;

/**
 * Lets calls share runs: each joins the run that has its key, changes what that is called with while nobody has taken it, or gets
 * another one.
 */
@Injectable()
export class SharedRuns {
  private readonly calls = new CallsByKey<SharingCall, ScheduledRun>((calls) => this.answers(calls));

  constructor(
    private readonly scheduledRuns: ScheduledRuns,
    private readonly keyedRuns: KeyedRuns,
    private readonly sharedRuns: SharedRunsRepository,
    private readonly clock: DatabaseClock,
  ) {}

  /** Gives the run of a call; durable when this resolves. Calls with the same key at a time share one commit. */
  async create(flow: ScheduledFlow, request: ScheduledRunRequest, sharing: Sharing): Promise<ScheduledRun> {
    const waiting = await this.scheduledRuns.prepare(flow, request);
    const { key } = sharing;
    const answerKey = answerKeyOf(waiting.created.id);
    return this.calls.call(`${flow.id} ${key}`, { flow, key, waiting, answerKey, sharing });
  }

  /** The same for many calls, as if they were made one after another. */
  async createAll(
    flow: ScheduledFlow,
    requests: readonly ScheduledRunRequest[],
    sharing: Sharing,
  ): Promise<ScheduledRun[]> {
    const runs: ScheduledRun[] = [];
    for (let first = 0; first < requests.length; first += BATCH) {
      const batch = requests.slice(first, first + BATCH);
      runs.push(...(await Promise.all(batch.map((request) => this.create(flow, request, sharing)))));
    }
    return runs;
  }

  private async answers(calls: readonly SharingCall[]): Promise<readonly ScheduledRun[]> {
    const [first, ...others] = calls;
    return first ? this.keyedRuns.answer([first, ...others], (tx, left, known) => this.decide(tx, left, known)) : [];
  }

  /** One call after another, each on what the ones before have made of the run; what comes of them is written once. */
  private async decide(tx: Tx, calls: readonly SharingCall[], known: SharedRun | null): Promise<Decided> {
    const now = this.clock.now();
    const runs: ScheduledRun[] = [];
    const made = new Map<string, WaitingFlowRun>();
    const revised = new Map<string, string>();
    const dueAt = new Map<string, Instant>();
    let current = known;
    for (const { sharing, waiting } of calls) {
      const share = current ? sharing.shareOf(current, now) : null;
      const isNew = !current || !share || share.kind === 'replace';
      const run: SharedRun = isNew || !current ? sharedRunOf(waiting, now) : current;
      if (isNew) made.set(run.id, waiting);
      if (share?.kind === 'revise') {
        revised.set(run.id, waiting.created.parameters);
        dueAt.set(run.id, share.dueAt);
      }
      runs.push({ id: run.id, name: run.name, isNew });
      current = run;
    }
    for (const [id, parameters] of revised) {
      const one = made.get(id);
      if (one) made.set(id, { ...one, created: { ...one.created, parameters } });
      else await this.sharedRuns.revise(tx, id, parameters);
    }
    return { runs, made: [...made.values()], dueAt };
  }
}

/** A run that is about to be created, as the next call finds it. */
function sharedRunOf({ created: { id, name, parameters }, run }: WaitingFlowRun, created: Instant): SharedRun {
  return { id, name, parameters, stateType: run.state.type, isWaiting: true, created };
}
