import { StateType } from '@nestor/core';
import type { FlowRunEntity } from '../records/flow-runs/flow-run.entity.js';
import { MissingResultError, RunCancelledError, RunCrashedError } from './engine/engine-errors.js';

/**
 * What an ended run gave.
 *
 * @param outcome what its row holds, decoded.
 * @throws what its flow threw, {@link RunCancelledError}, {@link RunCrashedError} or {@link MissingResultError}.
 */
export function outcomeOfRun(row: FlowRunEntity, outcome: unknown): unknown {
  switch (row.stateType) {
    case StateType.Completed:
      if (row.result === null) throw new MissingResultError(row.id);
      return outcome;
    case StateType.Failed:
      if (row.result === null)
        throw new RunCrashedError(
          row.id,
          `it is ${row.stateName} without an error: its state was set by hand, or nobody resumed it in time.`,
        );
      throw outcome; // whatever the flow threw
    case StateType.Cancelled:
      throw new RunCancelledError(row.id);
    default:
      throw new RunCrashedError(row.id, `it is ${row.stateName ?? 'gone'}.`);
  }
}
