import { durationMs, InvalidDurationError, type Duration } from '@nestor/core';
import { SERVICE_NAMES, type RetentionOptions, type ServiceOptions } from '@nestor/orchestrator';

/** What keeps everything. */
const OFF = 'off';
const LEAST_MS = 60_000;
const LONGEST = '36525d';

/** How the variables that say how long what has happened is kept are written, with their defaults. */
export const RETENTION_DEFAULTS = {
  NESTOR_RETENTION_RUNS: '90d',
  NESTOR_RETENTION_EVENTS: '30d',
  NESTOR_RETENTION_EVENTS_BY_TYPE: 'prefect.flow-run.heartbeat=7d',
  NESTOR_RETENTION_ARTIFACTS: OFF,
  NESTOR_RETENTION_LOGS: '30d',
} as const;

type RetentionVariables = Record<keyof typeof RETENTION_DEFAULTS, string>;

/** How long what has happened is kept; what is wrong with a variable is added to `problems`. */
export function retentionOf(variables: RetentionVariables, problems: string[]): RetentionOptions {
  const age = (name: keyof RetentionVariables): Duration | false => {
    const text = variables[name].trim();
    if (text === OFF) return false;
    if (!isAge(text)) problems.push(`${name} must be a duration such as 30d, from 1m to ${LONGEST}, or ${OFF}`);
    return text as Duration;
  };
  const pairs = variables.NESTOR_RETENTION_EVENTS_BY_TYPE.split(',').map((pair) => pair.trim());
  const byType = pairs
    .filter((pair) => pair !== OFF)
    .map((pair): readonly [name: string, age: string] => {
      const [, name = '', text = ''] = /^([^=\s*]+\*?)=(\S+)$/.exec(pair) ?? [];
      return [name, text];
    });
  if (byType.some(([name, text]) => name === '' || !isAge(text))) {
    problems.push(
      `NESTOR_RETENTION_EVENTS_BY_TYPE must be ${OFF}, or names of events with durations and commas between, such as shop.stock.*=1d,shop.ping=1h`,
    );
  }
  return {
    runs: age('NESTOR_RETENTION_RUNS'),
    events: age('NESTOR_RETENTION_EVENTS'),
    eventsByType: Object.fromEntries(byType) as Record<string, Duration>,
    artifacts: age('NESTOR_RETENTION_ARTIFACTS'),
    logs: age('NESTOR_RETENTION_LOGS'),
  };
}

/** Which services a process does: `all`, `none`, or some by name, with commas between. */
export function servicesOf(text: string, problems: string[]): ServiceOptions | false {
  const names = text.split(',').map((name) => name.trim());
  if (names.length === 1 && names[0] === 'none') return false;
  if (names.length === 1 && names[0] === 'all') return {};
  const unknown = names.find((name) => !SERVICE_NAMES.some((known) => known === name));
  if (unknown !== undefined) {
    problems.push(`NESTOR_SERVICES must be all, none, or some of ${SERVICE_NAMES.join(', ')} with commas between`);
  }
  return Object.fromEntries(SERVICE_NAMES.map((name) => [name, names.includes(name)]));
}

function isAge(text: string): boolean {
  try {
    const ms = durationMs(text as Duration, 'age');
    return ms >= LEAST_MS && ms <= durationMs(LONGEST, 'longest age');
  } catch (error) {
    if (error instanceof InvalidDurationError) return false;
    throw error;
  }
}
