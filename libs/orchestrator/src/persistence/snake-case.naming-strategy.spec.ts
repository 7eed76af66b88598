import { SnakeCaseNamingStrategy } from './snake-case.naming-strategy.js';

describe('the name of a column', () => {
  const strategy = new SnakeCaseNamingStrategy();

  it.each([
    ['id', 'id'],
    ['flowRunId', 'flow_run_id'],
    ['totalRunTimeUs', 'total_run_time_us'],
    ['sha256Hash', 'sha256_hash'],
    ['already_snake', 'already_snake'],
  ])('of property %s is %s', (property, column) => {
    expect(strategy.columnName(property, undefined, [])).toBe(column);
  });

  it('is the one that was given, where one was', () => {
    expect(strategy.columnName('flowRunId', 'runId', [])).toBe('runId');
  });

  it('says what it is embedded in', () => {
    expect(strategy.columnName('stateType', undefined, ['lastRun'])).toBe('last_run_state_type');
  });
});
