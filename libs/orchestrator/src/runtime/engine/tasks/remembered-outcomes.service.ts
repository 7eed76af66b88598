import { cached } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { TaskCache } from '../../caching/task-cache.service.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../../engine-settings.js';
import { Payloads } from '../../payloads/payloads.service.js';
import type { TaskCaching } from '../../registry/definitions.js';
import { Replays } from '../../replay/replays.service.js';
import { noteOrigin } from '../input-origins.js';
import { stackOf } from '../outcome.js';
import { parametersOf } from '../parameters.js';
import { LogLevel, RunLogs } from '../run-logs.js';
import { TaskAttempts } from './task-attempts.service.js';
import { logSourceOf, persistsResult, type Begun } from './task-call.js';
import { TaskRunStates } from './task-run-states.service.js';

const CACHED = cached();

/** Outcomes of tasks that are remembered across runs, and given in place of executing the task again. */
@Injectable()
export class RememberedOutcomes {
  constructor(
    private readonly cache: TaskCache,
    private readonly attempts: TaskAttempts,
    private readonly states: TaskRunStates,
    private readonly replays: Replays,
    private readonly payloads: Payloads,
    private readonly logs: RunLogs,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  /** Ends a run with the outcome that is remembered, if there is one; otherwise executes it and remembers what came of it. */
  run(begun: Begun, caching: TaskCaching): Promise<unknown> {
    return this.settings.cache.isDisabled ? this.attempts.run(begun, null) : this.runOrRecall(begun, caching);
  }

  private async runOrRecall(begun: Begun, caching: TaskCaching): Promise<unknown> {
    const { around, id, options, task, caller } = begun.execution;
    const key = await this.keyOf(begun, caching);
    if (key === null) return this.attempts.run(begun, null);
    const release = caching.isSerialized ? await this.cache.lock(key, id, around.signal) : null;
    try {
      if (around.ended) throw this.states.close(begun, around.ended);
      const refresh = options?.refreshCache ?? caching.refresh ?? this.settings.cache.refresh;
      const found = refresh ? null : await this.cache.find(key);
      if (around.ended) throw this.states.close(begun, around.ended);
      if (found) return await this.conclude(begun, found.value);
      if (!persistsResult(task, caller, this.settings.persistResults)) return await this.attempts.run(begun, null);
      return await this.attempts.run(begun, (stored) => this.cache.remember(key, stored, id, caching.expirationMs));
    } finally {
      await release?.();
    }
  }

  private async conclude(begun: Begun, value: unknown): Promise<unknown> {
    const { id, task } = begun.execution;
    const subject = `result of ${task.subject}`;
    const stored = await this.payloads.seal(this.payloads.encode(value, subject), { runId: id, subject });
    await this.states.propose(begun, CACHED, stored).durable();
    return noteOrigin(value, id);
  }

  /** What its outcome is remembered under; one that cannot be told apart from others is not remembered, and the log says why. */
  private async keyOf({ execution, live }: Begun, { policy }: TaskCaching): Promise<string | null> {
    const { task, args, caller, id } = execution;
    const flowRun = caller?.flowRun?.created ?? null;
    const parameters = flowRun && ((await this.replays.read(flowRun.parameters)) as Record<string, unknown>);
    try {
      return this.cache.keyOf(policy, {
        taskKey: task.taskKey,
        inputs: parametersOf(args, this.payloads.classes),
        source: task.source,
        flowParameters: parameters,
        flowRunId: flowRun?.id ?? null,
        taskRunId: id,
      });
    } catch (error) {
      this.logs.append(logSourceOf(live), LogLevel.Error, `Its outcome is not remembered. ${stackOf(error)}`);
      return null;
    }
  }
}
