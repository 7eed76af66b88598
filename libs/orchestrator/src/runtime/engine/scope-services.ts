import { dateOfInstant, type Instant } from '@nestor/core';
import { Injectable } from '@nestjs/common';
import { newId } from '../../persistence/ids.js';
import { TaskCache } from '../caching/task-cache.service.js';
import { SlotBlocks } from '../concurrency/slot-blocks.service.js';
import { Payloads } from '../payloads/payloads.service.js';
import { Inbox } from '../inputs/inbox.service.js';
import type { PauseRequest } from '../inputs/pause-request.js';
import type { ExpectedInput, SendInputOptions } from '../inputs/run-input.js';
import { RunInputs } from '../inputs/run-inputs.service.js';
import { RunPauses } from '../inputs/run-pauses.service.js';
import { TransitionService } from '../transitions/transition.service.js';
import { RunLogs, type LogSource } from './run-logs.js';
import type { LiveFlowRun } from '../transitions/live-run.js';
import type { KeyedOutcomes, RunScope, ScopeServices } from './run-scope.js';
import { RunWaits } from './run-waits.service.js';

/** What the code of runs may ask of this engine: one object for all of them. */
@Injectable()
export class EngineScopeServices implements ScopeServices {
  constructor(
    private readonly transitions: TransitionService,
    private readonly logs: RunLogs,
    private readonly cache: TaskCache,
    private readonly payloads: Payloads,
    private readonly pauses: RunPauses,
    private readonly inbox: Inbox,
    private readonly inputs: RunInputs,
    private readonly waits: RunWaits,
    readonly slots: SlotBlocks,
  ) {}

  readonly clock = (): Date => dateOfInstant(this.transitions.now());

  readonly waitUntil = (instant: Instant, signal: AbortSignal): Promise<void> =>
    this.transitions.waitUntil(instant, signal);

  readonly outcomes: KeyedOutcomes = {
    find: async (scope, key) => {
      const { flowRun, replay } = scope.place;
      const drawn = scope.branch.keyOfValue(`transaction ${key}`);
      const recorded = replay?.values.get(drawn);
      if (recorded !== undefined) return this.payloads.decode(recorded) as { readonly value: unknown } | null;
      const remembered = await this.cache.find(key);
      const found = remembered && { value: remembered.value };
      if (flowRun) this.keepValue(flowRun, drawn, this.payloads.encode(found, `transaction "${key}"`));
      return found;
    },
    remember: async ({ place: { taskRun, flowRun } }, key, value) => {
      const runId = taskRun?.created.id ?? flowRun?.created.id ?? newId();
      const subject = `value of transaction "${key}"`;
      const stored = await this.payloads.seal(this.payloads.encode(value, subject), { runId, subject });
      await this.cache.remember(key, stored, taskRun?.created.id ?? null, null);
    },
    lock: async ({ attempt }, key) => {
      const unlock = await this.cache.lock(key, newId(), attempt.signal);
      if (unlock) return unlock;
      throw attempt.endError;
    },
  };

  readonly keepValue = (flowRun: LiveFlowRun, key: string, value: string): void =>
    this.transitions.keepValue(flowRun, key, value);

  readonly beginWait = (flowRun: LiveFlowRun, leavesUntil: Date | null): (() => void) =>
    this.waits.begin(flowRun, leavesUntil);

  readonly pause = (scope: RunScope, request: PauseRequest) => this.pauses.pause(scope, request);

  readonly receive = (scope: RunScope, expected: ExpectedInput) => this.inbox.next(scope, expected);

  readonly send = (flowRunId: string, value: unknown, options: SendInputOptions): Promise<void> =>
    this.inputs.send(flowRunId, value, options);

  readonly log = (scope: RunScope, level: number, message: string): void =>
    this.logs.append(sourceOf(scope), level, message);
}

function sourceOf({ place: { taskRun, flowRun } }: RunScope): LogSource {
  const flowRunId = flowRun?.created.id ?? null;
  if (taskRun) return { name: taskRun.created.name, flowRunId, taskRunId: taskRun.created.id };
  return { name: flowRun?.created.name ?? '', flowRunId, taskRunId: null };
}
