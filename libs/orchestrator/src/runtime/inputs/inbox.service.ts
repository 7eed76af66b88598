import { addMs, dateOfInstant, decode, encode, instantOfMs, msBetween, type Instant } from '@nestor/core';
import { Injectable } from '@nestjs/common';
import type { FlowRunInputEntity } from '../../records/flow-run-inputs/flow-run-input.entity.js';
import { FlowRunInputsRepository } from '../../records/flow-run-inputs/flow-run-inputs.repository.js';
import { settledInAttempt } from '../engine/in-attempt.js';
import type { RunScope } from '../engine/run-scope.js';
import { Payloads } from '../payloads/payloads.service.js';
import { Journal } from '../transitions/journal.js';
import type { LiveFlowRun } from '../transitions/live-run.js';
import { TransitionService } from '../transitions/transition.service.js';
import { InputArrivals } from './input-arrivals.service.js';
import { NotInFlowBodyError } from './input-errors.js';
import { deadlineKey, inputValueKind, isInputValueKey } from './kept-inputs.js';
import type { ArrivedInput, ExpectedInput } from './run-input.js';

/** What a run keeps of an input: what it was given, as the row had it. */
type Kept = Pick<FlowRunInputEntity, 'id' | 'key' | 'sender' | 'value'> & { readonly created: Date };

/**
 * Gives flow runs what was sent to them, each input once, in the order in which they came. What a run has received is kept with
 * it: when it begins again it receives the same, at the same places.
 */
@Injectable()
export class Inbox {
  /** The ids of what runs have received, as long as they are executed here. */
  private readonly received = new WeakMap<LiveFlowRun, Set<string>>();

  constructor(
    private readonly inputs: FlowRunInputsRepository,
    private readonly payloads: Payloads,
    private readonly journal: Journal,
    private readonly transitions: TransitionService,
    private readonly arrivals: InputArrivals,
  ) {}

  /**
   * The next input that was sent to a run; `null` when none came in time.
   *
   * @throws {NotInFlowBodyError} in a task.
   * @throws {RunEndedError} and its like when the attempt ends meanwhile.
   */
  async next(scope: RunScope, { keyPrefix, flowRunId, timeoutMs }: ExpectedInput): Promise<ArrivedInput | null> {
    const { flowRun, taskRun, replay, services } = scope.place;
    if (!flowRun || taskRun) throw new NotInFlowBodyError('receiveInput');
    scope.attempt.assertLive();
    const from = flowRunId ?? flowRun.created.id;
    const key = scope.branch.keyOfValue(inputValueKind(from === flowRun.created.id ? null : from, keyPrefix));
    const recorded = replay?.values.get(key);
    if (recorded !== undefined) return this.arrived(decode(recorded) as Kept | null);

    const received = this.receivedBy(flowRun, replay?.values);
    const until = timeoutMs === null ? null : this.deadline(scope, flowRun, deadlineKey(key), timeoutMs);
    const row = await this.take(scope, { from, prefix: `${keyPrefix}-`, received, until });
    const kept: Kept | null = row && { ...pick(row), created: dateOfInstant(row.created) };
    services.keepValue(flowRun, key, encode(kept));
    return this.arrived(kept);
  }

  /** Until when an input may come: the same again when the run begins again. */
  private deadline({ place }: RunScope, flowRun: LiveFlowRun, key: string, timeoutMs: number): Instant {
    const recorded = place.replay?.values.get(key);
    if (recorded !== undefined) return instantOfMs((decode(recorded) as Date).getTime());
    const until = addMs(this.transitions.now(), timeoutMs);
    place.services.keepValue(flowRun, key, encode(dateOfInstant(until)));
    return until;
  }

  private async take(
    { attempt, place: { gate, flowRun, services } }: RunScope,
    { from, prefix, received, until }: { from: string; prefix: string; received: Set<string>; until: Instant | null },
  ): Promise<FlowRunInputEntity | null> {
    const endWait = flowRun ? services.beginWait(flowRun, null) : () => undefined;
    const letGo = attempt.hold(); // it runs nothing: a suspension need not wait for it
    try {
      for (;;) {
        const { heard, stop } = this.arrivals.listen(from);
        try {
          const excluded = [...received];
          const [row] = await this.journal.patiently(() => this.inputs.list(from, { prefix, excluded, limit: 1 }));
          while (gate?.isClosed && !attempt.ended) await settledInAttempt(gate.passage(), attempt);
          attempt.assertLive();
          if (row && !received.has(row.id)) {
            received.add(row.id);
            return row;
          }
          if (row) continue; // another part of the run was faster
          const leftMs = until === null ? null : msBetween(this.transitions.now(), until);
          if (leftMs !== null && leftMs <= 0) return null;
          await settledInAttempt(heard, attempt, leftMs, this.transitions.callAfter);
          attempt.assertLive();
        } finally {
          stop();
        }
      }
    } finally {
      letGo();
      endWait();
    }
  }

  private receivedBy(flowRun: LiveFlowRun, values: ReadonlyMap<string, string> | undefined): Set<string> {
    let received = this.received.get(flowRun);
    if (!received) {
      received = new Set();
      for (const [key, value] of values ?? []) {
        const kept = isInputValueKey(key) ? (decode(value) as Kept | null) : null;
        if (kept) received.add(kept.id);
      }
      this.received.set(flowRun, received);
    }
    return received;
  }

  private async arrived(kept: Kept | null): Promise<ArrivedInput | null> {
    if (!kept) return null;
    const { key, sender, created, value } = kept;
    const read = await this.journal.patiently(async () => this.payloads.read(value));
    return { value: read, key, sender, sentAt: created };
  }
}

function pick({ id, key, sender, value }: FlowRunInputEntity): Omit<Kept, 'created'> {
  return { id, key, sender, value };
}
