import { isTerminal, STATE_TYPES, StateType, type StateData } from '../../states/state.js';
import { instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { Facts } from '../../transitions/facts.js';
import type { TaskRun } from '../../transitions/run.js';
import { restartEndedTaskRun } from './restart-ended-task-run.rule.js';

const ENDED = STATE_TYPES.filter(isTerminal);
const GOING = STATE_TYPES.filter((type) => !isTerminal(type));
const flowRun = { state: { type: StateType.Running, details: {} }, runCount: 1 };

function verdictOf(
  from: StateType,
  to: StateType,
  over: Partial<TaskRun> = {},
  facts: Facts = { flowRun },
  data?: StateData,
) {
  const state = { type: from, details: {}, data };
  const run = { state, flowRunId: 'f', flowRunRunCount: 1, runCount: 3, ...over } as TaskRun;
  const proposed = { type: to, name: to, message: null, details: {} };
  return decide([restartEndedTaskRun], { run, proposed, now: instantOfMs(0) }, facts);
}

describe('restart-ended-task-run', () => {
  it.each(ENDED.flatMap((from) => (['CANCELLING', 'PAUSED', 'CRASHED'] as const).map((to) => [from, to] as const)))(
    '%s never becomes %s',
    (from, to) => {
      expect(verdictOf(from, to).kind).toBe('abort');
    },
  );

  it.each(ENDED.flatMap((from) => (['SCHEDULED', 'PENDING', 'RUNNING'] as const).map((to) => [from, to] as const)))(
    '%s begins anew as %s',
    (from, to) => {
      expect(verdictOf(from, to)).toMatchObject({ kind: 'accept', startsOver: true, state: { name: to } });
    },
  );

  it.each(ENDED.flatMap((from) => (['COMPLETED', 'FAILED', 'CANCELLED'] as const).map((to) => [from, to] as const)))(
    '%s may become %s without beginning anew',
    (from, to) => {
      expect(verdictOf(from, to)).toMatchObject({ kind: 'accept', startsOver: false });
    },
  );

  it('keeps a completion whose result is kept, whatever is proposed', () => {
    const kept = { persisted: true, value: 'r' };
    for (const to of ['SCHEDULED', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED'] as const) {
      expect(verdictOf('COMPLETED', to, {}, { flowRun }, kept)).toMatchObject({ kind: 'reject', state: null });
    }
    expect(verdictOf('FAILED', 'RUNNING', {}, { flowRun }, kept).kind).toBe('accept');
  });

  it.each([
    ['a later attempt of its flow run', 2, 'Retrying'],
    ['the same attempt', 1, 'RUNNING'],
  ])('in %s it runs under the name %s', (_, runCount, name) => {
    expect(verdictOf('FAILED', 'RUNNING', {}, { flowRun: { ...flowRun, runCount } })).toMatchObject({
      state: { name },
    });
  });

  it('asks about the flow run only of a run that is to run in one', () => {
    expect(verdictOf('FAILED', 'RUNNING', {}, {})).toEqual({ kind: 'needs-facts', names: ['flowRun'] });
    expect(verdictOf('FAILED', 'RUNNING', { flowRunId: null }, {}).kind).toBe('accept');
    expect(verdictOf('FAILED', 'PENDING', {}, {}).kind).toBe('accept');
  });

  it('says nothing of a run that has not ended', () => {
    const verdicts = GOING.flatMap((from) => STATE_TYPES.map((to) => verdictOf(from, to, {}, {})));
    expect(verdicts.every((verdict) => verdict.kind === 'accept' && !verdict.startsOver)).toBe(true);
  });
});
