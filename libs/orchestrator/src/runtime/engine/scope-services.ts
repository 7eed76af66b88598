import { dateOfInstant } from '@nestor/core';
import { Injectable } from '@nestjs/common';
import { TransitionService } from '../transitions/transition.service.js';
import { RunLogs, type LogSource } from './run-logs.js';
import type { LiveFlowRun } from '../transitions/live-run.js';
import type { RunScope, ScopeServices } from './run-scope.js';

/** What the code of runs may ask of this engine: one object for all of them. */
@Injectable()
export class EngineScopeServices implements ScopeServices {
  constructor(
    private readonly transitions: TransitionService,
    private readonly logs: RunLogs,
  ) {}

  readonly clock = (): Date => dateOfInstant(this.transitions.now());

  readonly keepValue = (flowRun: LiveFlowRun, key: string, value: string): void =>
    this.transitions.keepValue(flowRun, key, value);

  readonly log = (scope: RunScope, level: number, message: string): void =>
    this.logs.append(sourceOf(scope), level, message);
}

function sourceOf({ place: { taskRun, flowRun } }: RunScope): LogSource {
  const flowRunId = flowRun?.created.id ?? null;
  if (taskRun) return { name: taskRun.created.name, flowRunId, taskRunId: taskRun.created.id };
  return { name: flowRun?.created.name ?? '', flowRunId, taskRunId: null };
}
