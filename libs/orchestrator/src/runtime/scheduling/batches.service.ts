import { addMs, type Instant } from '@nestor/core';
import { Injectable } from '@nestjs/common';
import type { Tx } from '../../persistence/transactions.js';
import { newId } from '../../persistence/ids.js';
import { BatchedItemsRepository, type BatchedItem } from '../../records/flow-run-inputs/batched-items.repository.js';
import type { SharedRun } from '../../records/flow-runs/shared-runs.repository.js';
import type { WaitingFlowRun } from '../../records/flow-runs/waiting-flow-run-rows.js';
import { idOfCall } from '../engine/id-of-call.js';
import { currentScope } from '../engine/run-scope.js';
import { unionOf, tagsInScope } from '../engine/scoped-tags.js';
import { Payloads } from '../payloads/payloads.service.js';
import type { FlowDefinition } from '../registry/definitions.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import type { BatchRequest } from './batch-options.js';
import { CallsByKey } from './calls-by-key.js';
import { answerKeyOf, KeyedRuns, type KeyedCall } from './keyed-runs.service.js';
import { ScheduledRuns, type ScheduledRun } from './scheduled-runs.service.js';

/** The place of a call in the run that was made of several. */
interface PlaceInBatch {
  readonly run: ScheduledRun;
  readonly index: number;
}

/** A call that is put together with others. */
interface BatchingCall extends KeyedCall {
  readonly id: string;
  /** What it puts into the list, sealed. */
  readonly item: string;
  /** The most that the list takes. */
  readonly size: number;
}

/** What becomes of calls that are put together. */
interface Placing {
  readonly places: ReadonlyMap<BatchingCall, PlaceInBatch>;
  readonly made: readonly WaitingFlowRun[];
  readonly items: readonly BatchedItem[];
  readonly dueAt: ReadonlyMap<string, Instant>;
}

/** Puts calls together: a flow that takes a list is run once for many of them. */
@Injectable()
export class Batches {
  private readonly calls = new CallsByKey<BatchingCall, PlaceInBatch>((calls) => this.places(calls));

  constructor(
    private readonly runs: ScheduledRuns,
    private readonly keyedRuns: KeyedRuns,
    private readonly items: BatchedItemsRepository,
    private readonly payloads: Payloads,
    private readonly clock: DatabaseClock,
  ) {}

  /**
   * Puts an item into the list with which the next run of a flow is called; durable when this resolves. Calls with the same
   * key at a time share one commit.
   *
   * @throws {UnserialisableValueError} when the item cannot be kept.
   * @throws {RunEndedError} when the attempt that asks is over.
   */
  async add(definition: FlowDefinition, item: unknown, { size, withinMs, key }: BatchRequest): Promise<PlaceInBatch> {
    currentScope()?.attempt.assertLive();
    // Before anything is awaited: calls are told apart by the order in which they are made.
    const id = idOfCall(`batch:${definition.name}`, [key, item], this.payloads.classes);
    const flow = this.runs.flowOf(definition);
    const runId = newId();
    const subject = `item of a batch of flow "${flow.name}"`;
    const encoded = this.payloads.encode(item, subject);
    const now = this.clock.now();
    const [waiting, sealed] = await Promise.all([
      this.runs.prepare(flow, {
        id: runId,
        parameters: {},
        tags: unionOf(definition.tags, tagsInScope()),
        scheduledTime: size === 1 ? now : addMs(now, withinMs),
      }),
      this.payloads.seal(encoded, { runId, subject }),
    ]);
    return this.calls.call(`${flow.id} ${key}`, {
      ...{ flow, key, id, size, item: sealed },
      waiting: { ...waiting, created: { ...waiting.created, parameters: this.payloads.batchOf(runId) } },
      answerKey: answerKeyOf(id),
    });
  }

  private async places(calls: readonly BatchingCall[]): Promise<readonly PlaceInBatch[]> {
    const [first, ...others] = calls;
    if (!first) return [];
    let tried: Placing | null = null;
    const runs = await this.keyedRuns.answer([first, ...others], async (tx, left, known) => {
      // Asked again when nobody heard of the commit: one that was made holds for all of them.
      const isWritten = tried?.items[0] !== undefined && (await this.items.has(tx, tried.items[0]));
      const placing = (tried = tried && isWritten ? tried : await this.place(tx, left, known));
      if (!isWritten) await this.items.add(tx, placing.items);
      return { ...placing, runs: left.flatMap((call) => placing.places.get(call)?.run ?? []) };
    });
    const placed = (tried as Placing | null)?.places;
    return Promise.all(
      calls.map(async (call, n) => {
        const run = runs[n]!;
        // One that a run makes again has its place from before.
        const index = placed?.get(call)?.index ?? (await this.items.placeOf(run.id, call.id));
        return { run, index: index ?? 0 };
      }),
    );
  }

  /** One call after another: each takes the next place of the list, or the first of another one. */
  private async place(tx: Tx, calls: readonly BatchingCall[], known: SharedRun | null): Promise<Placing> {
    const places = new Map<BatchingCall, PlaceInBatch>();
    const made: WaitingFlowRun[] = [];
    const items: BatchedItem[] = [];
    const dueAt = new Map<string, Instant>();
    let run: ScheduledRun | null = known?.isWaiting ? { id: known.id, name: known.name, isNew: false } : null;
    let count = run ? await this.items.count(tx, run.id) : 0;
    for (const call of calls) {
      const { id, item, size, waiting } = call;
      if (!run || count === 0 || count >= size) {
        run = { id: waiting.created.id, name: waiting.created.name, isNew: true };
        made.push(waiting);
        count = 0;
      }
      items.push({ flowRunId: run.id, index: count, id, value: item });
      places.set(call, { run, index: count });
      count += 1;
      if (count === size && size > 1) dueAt.set(run.id, this.clock.now());
    }
    return { places, made, items, dueAt };
  }
}
