import { Sweeper } from '../../../libs/orchestrator/src/runtime/recovery/sweeper.service.js';

/** Nobody looks after the runs of dead processes. */
export function switchOffSweeper(): void {
  Sweeper.prototype.onApplicationBootstrap = () => undefined;
}
