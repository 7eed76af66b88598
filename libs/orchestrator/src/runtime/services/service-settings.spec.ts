import { SERVICE_NAMES, serviceSettings, type ServiceOptions } from './service-settings.js';

const invalid = (option: string, problem: string): Error => new Error(`${option} ${problem}`);
const settingsOf = (options: ServiceOptions | false): string[] => [...serviceSettings(options, invalid)];

describe('the services of a process', () => {
  it('are all of them unless it says otherwise', () => {
    expect(settingsOf({})).toEqual(SERVICE_NAMES);
    expect(settingsOf({ scheduler: true })).toEqual(SERVICE_NAMES);
  });

  it('are none, or those that are not switched off', () => {
    expect(settingsOf(false)).toEqual([]);
    expect(settingsOf({ scheduler: false, hooks: false })).toEqual(
      SERVICE_NAMES.filter((name) => name !== 'scheduler' && name !== 'hooks'),
    );
  });

  it.each<[unknown, RegExp]>([
    [{ cron: false }, /^services.cron is no service; there are scheduler, lateRuns, /],
    [{ sweeper: 'no' }, /^services.sweeper is "no" and must be true or false/],
  ])('cannot be %j', (options, message) => {
    expect(() => settingsOf(options as ServiceOptions)).toThrow(message);
  });
});
