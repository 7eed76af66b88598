import { isTerminal, STATE_TYPES, StateType } from '../../states/state.js';
import type { FlowRun } from '../../transitions/run.js';
import { keep, pass, type Rule } from '../../transitions/transition.js';
import { hasKeptResult } from './result-loss.js';

/** Even by force no completion takes the place of one whose result is kept, unless it has such a result itself. */
export const preventResultLoss: Rule<FlowRun> = {
  name: 'prevent-result-loss',
  from: STATE_TYPES.filter(isTerminal),
  to: STATE_TYPES.filter(isTerminal),
  decide({ run, proposed }) {
    if (proposed.type !== StateType.Completed || !hasKeptResult(run.state) || hasKeptResult(proposed)) return pass();
    return keep('The result of the run would be lost.');
  },
};
