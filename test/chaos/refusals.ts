import { FlowRunsRepository } from '../../libs/orchestrator/src/records/flow-runs/flow-runs.repository.js';
import type { HeldClaims, WriteFence } from '../../libs/orchestrator/src/records/lease-check.js';
import { RunValuesRepository } from '../../libs/orchestrator/src/records/run-values/run-values.repository.js';
import { TaskRunsRepository } from '../../libs/orchestrator/src/records/task-runs/task-runs.repository.js';

/**
 * Listens to what the database answers to writes: `refused` is told of how many runs it takes no writes any more, because
 * their lease is lost.
 */
export function countRefusals(refused: (count: number) => void): void {
  const look = ({ claims }: WriteFence, held: HeldClaims): void => {
    const lost = claims.filter((claim, index) => claim !== null && held?.[index] !== true).length;
    if (lost > 0) refused(lost);
  };

  const { move } = FlowRunsRepository.prototype;
  FlowRunsRepository.prototype.move = async function (tx, fence, ...rest) {
    const answer = await move.call(this, tx, fence, ...rest);
    look(fence, answer.held);
    return answer;
  };
  const { save } = TaskRunsRepository.prototype;
  TaskRunsRepository.prototype.save = async function (tx, fence, ...rest) {
    const held = await save.call(this, tx, fence, ...rest);
    look(fence, held);
    return held;
  };
  const { keep } = RunValuesRepository.prototype;
  RunValuesRepository.prototype.keep = async function (tx, fence, ...rest) {
    const held = await keep.call(this, tx, fence, ...rest);
    look(fence, held);
    return held;
  };
}
