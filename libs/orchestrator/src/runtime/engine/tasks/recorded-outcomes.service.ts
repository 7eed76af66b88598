import { Inject, Injectable } from '@nestjs/common';
import { ENGINE_SETTINGS, type EngineSettings } from '../../engine-settings.js';
import type { RecordedCall } from '../../replay/recorded-call.js';
import { Replays } from '../../replay/replays.service.js';
import { noteOrigin } from '../input-origins.js';
import type { RunScope } from '../run-scope.js';
import { persistsResult, type CalledTask, type EndedCall, type FinishedCall } from './task-call.js';
import { TaskTransactions } from './task-transactions.service.js';

/** Outcomes that are recorded of a run that begins again: its calls get them, and execute nothing. */
@Injectable()
export class RecordedOutcomes {
  constructor(
    private readonly replays: Replays,
    private readonly transactions: TaskTransactions,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  /** Whether what is recorded of a call is its outcome. Where the result was not kept, the call is made again. */
  answers(known: RecordedCall, task: CalledTask, caller: RunScope | undefined): known is FinishedCall {
    if (known.kind === 'unfinished') return false;
    return (
      known.kind === 'failed' || known.result !== null || persistsResult(task, caller, this.settings.persistResults)
    );
  }

  /** What a recorded call gives its caller: what it gave it before. */
  async give(known: FinishedCall, call: EndedCall): Promise<unknown> {
    const { kind, result, created } = known;
    const outcome = result === null ? undefined : await this.replays.read(result);
    if (kind === 'failed') {
      if (call.task.transactionHooks) await this.transactions.rollBack(call, created.id);
      throw outcome;
    }
    this.transactions.rejoin(known, call, outcome);
    return noteOrigin(outcome, created.id);
  }
}
