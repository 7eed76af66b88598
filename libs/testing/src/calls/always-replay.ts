import { AttemptInspector, Rehearsals, type ReplayDivergedError, type SettledAttempt } from '@nestor/orchestrator';
import { Injectable } from '@nestjs/common';
import { CallLog } from './call-log.js';

/** Lets the body of every attempt begin again after each of its calls, before the attempt counts as ended. */
@Injectable()
export class AlwaysReplay extends AttemptInspector {
  constructor(
    private readonly rehearsals: Rehearsals,
    private readonly calls: CallLog,
  ) {
    super();
  }

  override inspect(settled: SettledAttempt): Promise<ReplayDivergedError | null> {
    return this.rehearsals.divergenceOf(settled, (flowRunId, call) => this.calls.find(flowRunId, call));
  }
}
