import { OrchestratorError } from '../errors/orchestrator-error.js';
import { durationMs, InvalidDurationError, type Duration } from './duration.js';

describe('durationMs', () => {
  it.each<[Duration, number]>([
    [0, 0],
    [250, 250],
    [0.5, 0.5],
    ['0ms', 0],
    ['250ms', 250],
    ['1s', 1_000],
    ['1.5s', 1_500],
    ['1.005s', 1_005],
    ['10m', 600_000],
    ['2h', 7_200_000],
    ['7d', 604_800_000],
    ['0.5d', 43_200_000],
    ['007s', 7_000],
  ])('reads %j as %d ms', (duration, expected) => {
    expect(durationMs(duration, 'timeout')).toBe(expected);
  });

  it.each<[unknown]>([
    [-1],
    [NaN],
    [Infinity],
    [''],
    ['10'],
    ['s'],
    ['-1s'],
    ['+1s'],
    ['.5s'],
    ['1.s'],
    ['1e3s'],
    ['10 m'],
    [' 10m'],
    ['10M'],
    ['10min'],
    ['1h30m'],
    ['1,5s'],
    [`${'9'.repeat(400)}d`],
    [null],
    [undefined],
    [true],
    [{}],
    [10n],
  ])('refuses %p', (value) => {
    expect(() => durationMs(value as Duration, 'timeout')).toThrow(InvalidDurationError);
  });

  it.each([
    [NaN, 'NaN'],
    [-1, '-1'],
    ['1 day', '"1 day"'],
    [null, 'null'],
    [undefined, 'undefined'],
  ])('names %p as %s', (value, text) => {
    expect(() => durationMs(value as Duration, 'delay')).toThrow(`The delay is ${text}, which is not a duration`);
  });

  it('says what the duration is for, what it is, and what would do', () => {
    const error = thrownBy(() => durationMs('soon' as Duration, 'timeout of flow "etl"'));
    expect(error).toBeInstanceOf(OrchestratorError);
    expect(error).toMatchObject({
      name: 'InvalidDurationError',
      code: 'INVALID_DURATION',
      value: 'soon',
      subject: 'timeout of flow "etl"',
    });
    expect((error as Error).message).toBe(
      'The timeout of flow "etl" is "soon", which is not a duration; ' +
        'use milliseconds (90000) or a number with a unit (ms, s, m, h, d), such as "90s".',
    );
  });
});

function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}
