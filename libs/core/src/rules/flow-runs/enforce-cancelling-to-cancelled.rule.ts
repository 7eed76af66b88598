import { STATE_TYPES, StateType } from '../../states/state.js';
import type { FlowRun } from '../../transitions/run.js';
import { keep, type Rule } from '../../transitions/transition.js';

/** Once cancellation was asked for, the only way on is to be cancelled. */
export const enforceCancellingToCancelled: Rule<FlowRun> = {
  name: 'enforce-cancelling-to-cancelled',
  from: [StateType.Cancelling],
  to: STATE_TYPES.filter((type) => type !== StateType.Cancelled),
  decide: () => keep('The run is being cancelled; it can only become CANCELLED.'),
};
