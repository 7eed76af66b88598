import { instantOfMs } from '../time/instant.js';
import type { ProposedState } from './state.js';
import {
  awaitingConcurrencySlot,
  awaitingResume,
  awaitingRetry,
  cached,
  cancelled,
  cancelling,
  completed,
  crashed,
  failed,
  infrastructurePending,
  late,
  notReady,
  paused,
  pending,
  resuming,
  retrying,
  rolledBack,
  running,
  scheduled,
  submitting,
  suspended,
  timedOut,
} from './states.js';

const scheduledTime = instantOfMs(1_800_000_000_000);

describe('states', () => {
  it.each<[ProposedState, string, string]>([
    [scheduled({ scheduledTime }), 'SCHEDULED', 'Scheduled'],
    [awaitingRetry({ scheduledTime }), 'SCHEDULED', 'AwaitingRetry'],
    [late({ scheduledTime }), 'SCHEDULED', 'Late'],
    [awaitingResume({ scheduledTime }), 'SCHEDULED', 'AwaitingResume'],
    [awaitingConcurrencySlot({ scheduledTime }), 'SCHEDULED', 'AwaitingConcurrencySlot'],
    [resuming({ scheduledTime }), 'SCHEDULED', 'Resuming'],
    [pending(), 'PENDING', 'Pending'],
    [submitting(), 'PENDING', 'Submitting'],
    [infrastructurePending(), 'PENDING', 'InfrastructurePending'],
    [notReady(), 'PENDING', 'NotReady'],
    [running(), 'RUNNING', 'Running'],
    [retrying(), 'RUNNING', 'Retrying'],
    [paused(), 'PAUSED', 'Paused'],
    [suspended(), 'PAUSED', 'Suspended'],
    [cancelling(), 'CANCELLING', 'Cancelling'],
    [completed(), 'COMPLETED', 'Completed'],
    [cached(), 'COMPLETED', 'Cached'],
    [rolledBack(), 'COMPLETED', 'RolledBack'],
    [failed(), 'FAILED', 'Failed'],
    [timedOut(), 'FAILED', 'TimedOut'],
    [crashed(), 'CRASHED', 'Crashed'],
    [cancelled(), 'CANCELLED', 'Cancelled'],
  ])('%# have a type and the name people see: %j', (state, type, name) => {
    expect(state).toMatchObject({ type, name, message: null });
  });

  it('have no details unless some are given', () => {
    expect(completed().details).toEqual({});
    expect(failed({ details: { retriable: false } }).details).toEqual({ retriable: false });
  });

  it('take a name and a message of the author', () => {
    expect(completed({ name: 'Cached', message: 'from yesterday' })).toEqual({
      type: 'COMPLETED',
      name: 'Cached',
      message: 'from yesterday',
      details: {},
    });
  });

  it('that wait know until when, besides their other details', () => {
    expect(scheduled({ scheduledTime, details: { transitionId: 't' } }).details).toEqual({
      scheduledTime,
      transitionId: 't',
    });
    expect(awaitingRetry({ scheduledTime, message: 'Error: no' })).toMatchObject({
      details: { scheduledTime },
      message: 'Error: no',
    });
  });

  it('carry the data they are given, and say nothing of it when there is none', () => {
    const data = { persisted: true, value: { storage_key: 'k' } };
    expect(completed({ data })).toHaveProperty('data', data);
    expect(completed()).not.toHaveProperty('data');
  });

  it('of a suspended run say that it starts anew, besides their other details', () => {
    expect(suspended({ details: { pauseKey: 'k' } }).details).toEqual({ pauseKey: 'k', pauseReschedule: true });
  });

  it('that have a name of their own keep it whatever name is given', () => {
    expect(timedOut({ name: 'Other' }).name).toBe('TimedOut');
    expect(retrying({ name: 'Other' }).name).toBe('Retrying');
    expect(awaitingRetry({ scheduledTime, name: 'Other' }).name).toBe('AwaitingRetry');
  });
});
