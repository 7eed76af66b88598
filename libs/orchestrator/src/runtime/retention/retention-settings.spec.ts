import { retentionSettings, type RetentionOptions } from './retention-settings.js';

const invalid = (option: string, problem: string): Error => new Error(`${option} ${problem}`);
const settingsOf = (options: RetentionOptions | false) => retentionSettings(options, invalid);

const DAY_MS = 86_400_000;

describe('how long everything is kept', () => {
  it('is 90 days for runs, 30 for events and log lines, and as long as their runs for artifacts', () => {
    expect(settingsOf({})).toEqual({
      runsMs: 90 * DAY_MS,
      eventsMs: 30 * DAY_MS,
      eventAges: [{ name: 'prefect.flow-run.heartbeat', isPrefix: false, ms: 7 * DAY_MS }],
      artifactsMs: null,
      logsMs: 30 * DAY_MS,
    });
  });

  it('is for ever when nothing is to be removed', () => {
    const nothing = { runsMs: null, eventsMs: null, eventAges: [], artifactsMs: null, logsMs: null };
    expect(settingsOf(false)).toEqual(nothing);
    expect(settingsOf({ runs: false, events: false, eventsByType: {}, logs: false })).toEqual(nothing);
  });

  it('is what options say, in their notation', () => {
    expect(settingsOf({ runs: '90d', events: '1d', artifacts: '36h', logs: 60_000, eventsByType: {} })).toEqual({
      runsMs: 90 * DAY_MS,
      eventsMs: DAY_MS,
      eventAges: [],
      artifactsMs: 1.5 * DAY_MS,
      logsMs: 60_000,
    });
  });

  it('is for events of some names no longer than for all, and the longest name comes first', () => {
    const eventsByType = { 'shop.*': '10d', 'shop.order.*': '2d', 'shop.order.paid': '6d' } as const;
    expect(settingsOf({ events: '3d', eventsByType }).eventAges).toEqual([
      { name: 'shop.order.paid', isPrefix: false, ms: 3 * DAY_MS },
      { name: 'shop.order.', isPrefix: true, ms: 2 * DAY_MS },
      { name: 'shop.', isPrefix: true, ms: 3 * DAY_MS },
    ]);
    expect(settingsOf({ events: false, eventsByType }).eventAges.map(({ ms }) => ms / DAY_MS)).toEqual([6, 2, 10]);
  });

  it.each<[unknown, RegExp]>([
    [{ runs: '59s' }, /^retention.runs is 59s and must be from 1m to 36525d, or false/],
    [{ logs: '36526d' }, /^retention.logs is 36526d and must be from 1m/],
    [{ runs: 'soon' }, /option "retention.runs" of OrchestratorModule is "soon", which is not a duration/],
    [{ eventsByType: { a: '1s' } }, /^retention.eventsByType\["a"\] is 1s and must be/],
    [{ eventsByType: { 'a*b': '1d' } }, /^retention.eventsByType has the name "a\*b"; a "\*" may only end it/],
    [{ eventsByType: { ' ': '1d' } }, /^retention.eventsByType has the name " "/],
    [
      { flows: '1d' },
      /^retention.flows is nothing that is kept; there are runs, events, eventsByType, artifacts, logs/,
    ],
  ])('cannot be %j', (options, message) => {
    expect(() => settingsOf(options as RetentionOptions)).toThrow(message);
  });
});
