interface Field {
  readonly name: string;
  readonly first: number;
  readonly last: number;
}

/** In the order in which they are written there: seconds first. */
const FIELDS: readonly Field[] = [
  { name: 'second', first: 0, last: 59 },
  { name: 'minute', first: 0, last: 59 },
  { name: 'hour', first: 0, last: 23 },
  { name: 'day of the month', first: 1, last: 31 },
  { name: 'month', first: 1, last: 12 },
  { name: 'day of the week', first: 0, last: 7 },
];

const NAMES: ReadonlyMap<string, number> = new Map([
  ...['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'].map(
    (name, index) => [name, index + 1] as const,
  ),
  ...['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'].map((name, index) => [name, index] as const),
]);

const PRESETS: ReadonlyMap<string, string> = new Map([
  ['@yearly', '0 0 0 1 1 *'],
  ['@monthly', '0 0 0 1 * *'],
  ['@weekly', '0 0 0 * * 0'],
  ['@daily', '0 0 0 * * *'],
  ['@hourly', '0 0 * * * *'],
  ['@minutely', '0 * * * * *'],
  ['@secondly', '* * * * * *'],
  ['@weekdays', '0 0 0 * * 1-5'],
  ['@weekends', '0 0 0 * * 0,6'],
]);

/**
 * The times of an expression of the `cron` package, which `@nestjs/schedule` runs on, in the form that schedules are written
 * in here: seconds at the end in place of the beginning. Every field is written out, because the two do not agree on what
 * restricts a day: `0 0 1-31 * 1` is every Monday there.
 *
 * @throws what `fail` throws when it cannot be read.
 */
export function cronOfNest(expression: string, fail: (problem: string) => never): string {
  const text = expression.trim().toLowerCase();
  const given = (PRESETS.get(text) ?? text).split(/\s+/);
  if (given.length !== 5 && given.length !== 6) {
    fail(`has ${text === '' ? 'no fields' : `${given.length} fields`}; there are five, or six with the seconds first`);
  }
  const fields = given.length === 5 ? ['0', ...given] : given;
  const [second, ...others] = fields.map((field, index) => written(FIELDS[index]!, field, fail)) as [
    string,
    ...string[],
  ];
  return [...others, ...(second === '0' ? [] : [second])].join(' ');
}

function written(field: Field, text: string, fail: (problem: string) => never): string {
  const values = new Set<number>();
  for (const part of text.split(',')) {
    const match = /^(?:\*|(\w+)(?:-(\w+))?)(?:\/(\d+))?$/.exec(part);
    if (!match) return fail(`has "${part}" for the ${field.name}, which is no value, range, step or list of them`);
    const [, from, to, every] = match;
    const low = from === undefined ? field.first : valueOf(field, from, fail);
    const isOpen = from === undefined || (to === undefined && every !== undefined);
    const high = isOpen ? field.last : to === undefined ? low : valueOf(field, to, fail);
    const step = Number(every ?? 1);
    if (step === 0 || high < low) fail(`has "${part}" for the ${field.name}, which names nothing`);
    for (let value = low; value <= high; value += step) values.add(field.last === 7 ? value % 7 : value);
  }
  const all = field.last === 7 ? 7 : field.last - field.first + 1;
  return values.size === all ? '*' : [...values].sort((one, other) => one - other).join(',');
}

function valueOf(field: Field, text: string, fail: (problem: string) => never): number {
  const value = NAMES.get(text) ?? (/^\d+$/.test(text) ? Number(text) : NaN);
  if (value >= field.first && value <= field.last) return value;
  return fail(`has "${text}" for the ${field.name}; there are ${field.first} to ${field.last}`);
}
