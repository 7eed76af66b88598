import { decideTurns, type ActiveTurn, type WaitingTurn } from './turns.js';
import type { ScheduleOverlap } from '../deployments/deployment-options.js';

const active = (id: string, isEnding = false): ActiveTurn => ({ id, name: id, isEnding });
const waiting = (id: string, isAskedFor = false): WaitingTurn => ({ id, name: id, isAskedFor });

describe('the turns of the runs of a schedule', () => {
  it.each<[ScheduleOverlap, string[], string[], { released?: string[]; skipped?: string[]; ended?: string[] }]>([
    ['allow', ['a'], ['b', 'c'], { released: ['b', 'c'] }],
    ['skip', [], ['b'], { released: ['b'] }],
    ['skip', ['a'], ['b', 'c'], { skipped: ['b', 'c'] }],
    ['skip', [], ['b', 'c'], { released: ['b'], skipped: ['c'] }],
    ['buffer_one', ['a'], ['b'], {}],
    ['buffer_one', ['a'], ['b', 'c', 'd'], { skipped: ['c', 'd'] }],
    ['buffer_one', [], ['b', 'c', 'd'], { released: ['b'], skipped: ['d'] }],
    ['buffer_all', ['a'], ['b', 'c'], {}],
    ['buffer_all', [], ['b', 'c'], { released: ['b'] }],
    ['cancel_other', [], ['b'], { released: ['b'] }],
    ['cancel_other', ['a'], ['b'], { ended: ['a'] }],
    ['cancel_other', ['a'], ['b', 'c'], { ended: ['a'], skipped: ['b'] }],
    ['cancel_other', [], ['b', 'c'], { released: ['c'], skipped: ['b'] }],
    ['cancel_other', ['a'], [], {}],
  ])('%s: %j goes on, %j are due → %j', (overlap, going, due, expected) => {
    const turns = decideTurns(
      overlap,
      going.map((id) => active(id)),
      due.map((id) => waiting(id)),
    );
    expect(turns.released.map(({ id }) => id)).toEqual(expected.released ?? []);
    expect(turns.skipped.map(({ id }) => id)).toEqual(expected.skipped ?? []);
    expect(turns.ended.map(({ id }) => id)).toEqual(expected.ended ?? []);
  });

  it.each<ScheduleOverlap>(['skip', 'buffer_one', 'buffer_all', 'cancel_other'])(
    '%s: runs that somebody asked for wait, and are neither skipped nor end others',
    (overlap) => {
      expect(decideTurns(overlap, [active('a')], [waiting('b', true), waiting('c', true)])).toMatchObject({
        released: [],
        skipped: [],
        ended: [],
      });
      expect(decideTurns(overlap, [], [waiting('b', true), waiting('c', true)]).released).toMatchObject([{ id: 'b' }]);
    },
  );

  it('do not ask a run to end that is about to', () => {
    expect(decideTurns('cancel_other', [active('a', true)], [waiting('b')])).toMatchObject({ released: [], ended: [] });
  });

  it('name the run on whose account others wait or are skipped', () => {
    expect(decideTurns('skip', [active('a')], [waiting('b')]).blocker?.name).toBe('a');
    expect(decideTurns('skip', [], [waiting('b'), waiting('c')]).blocker?.name).toBe('b');
    expect(decideTurns('cancel_other', [active('a')], [waiting('b')]).blocker?.name).toBe('b');
  });
});
