import { parseRecurrenceRule, type RecurrenceRule } from './recurrence-rule.js';
import { ruleWalls } from './recurrence-walls.js';
import { InvalidRRuleError, RRuleTooLargeError } from './schedule-errors.js';
import type { Wall } from './wall-clock.js';
import { wallOfText } from './wall-text.js';

/** What the lines of an RRULE schedule say: the times of `rules` and `dates`, without those of `exRules` and `exDates`. */
interface RecurrenceSet {
  readonly rules: readonly RecurrenceRule[];
  /** Ascending. */
  readonly dates: readonly Wall[];
  readonly exRules: readonly RecurrenceRule[];
  readonly exDates: ReadonlySet<Wall>;
}

interface Lines {
  start: string | null;
  zone: string | null;
  readonly rules: string[];
  readonly dates: string[];
  readonly exRules: string[];
  readonly exDates: string[];
}

/** Where rules count from that do not say it: far enough back for any of them to be in step. */
const HISTORIC_DATE = '20200101T000000';
const HISTORIC_START = `DTSTART:${HISTORIC_DATE}\n`;
const MAX_LENGTH = 6_500;
/** Times of all rules together that are counted when they are read: 20 ms. */
const MAX_COUNT = 100_000;
/** Rules that never fire are searched for up to 10 ms each. */
const MAX_RULES = 20;
/** How many times in a row may be excluded until a set counts as ended. */
const MAX_EXCLUDED = 10_000;

/**
 * Puts a `DTSTART` in front of lines that have none, and tells which zone theirs names (`DTSTART;TZID=Europe/Berlin:…`).
 *
 * @throws {InvalidRRuleError} {@link RRuleTooLargeError}
 */
export function withStart(text: string): { readonly rrule: string; readonly zone: string | null } {
  const length = text.length - (text.startsWith(HISTORIC_START) ? HISTORIC_START.length : 0);
  if (length > MAX_LENGTH) {
    throw new RRuleTooLargeError(
      length,
      MAX_LENGTH,
      'characters',
      'write dates as a rule, or divide them among schedules',
    );
  }
  const { start, zone } = linesOf(text);
  return { rrule: start === null ? HISTORIC_START + text : text, zone };
}

/**
 * Reads the lines of an RRULE schedule. A rule with a `COUNT` is counted through and bounded by its last time, so that it
 * can be entered anywhere, like the others.
 *
 * @throws {InvalidRRuleError} {@link RRuleTooLargeError}
 */
export function parseRecurrenceSet(text: string): RecurrenceSet {
  const lines = linesOf(text);
  const start = wallOfText(lines.start ?? HISTORIC_DATE);
  const size = lines.rules.length + lines.exRules.length;
  if (size > MAX_RULES) throw new RRuleTooLargeError(size, MAX_RULES, 'rules', 'divide them among schedules');
  const dates = lines.dates.map(wallOfText).sort((a, b) => a - b);
  const rules = lines.rules.map((rule) => parseRecurrenceRule(rule, start));
  const exRules = lines.exRules.map((rule) => parseRecurrenceRule(rule, start));
  const count = [...rules, ...exRules].reduce((total, rule) => total + (rule.count ?? 0), 0);
  if (count > MAX_COUNT) {
    throw new RRuleTooLargeError(count, MAX_COUNT, 'times to COUNT', 'give the last one with UNTIL instead');
  }
  if (rules.length + dates.length === 0) throw new InvalidRRuleError(text, 'has neither RRULE nor RDATE');
  return {
    rules: rules.map(counted),
    dates,
    exRules: exRules.map(counted),
    exDates: new Set(lines.exDates.map(wallOfText)),
  };
}

/** The times of a set from `from` on, ascending; one that several rules name may come several times. */
export function* setWalls(set: RecurrenceSet, from: Wall): Generator<Wall> {
  const excludes = exclusionsOf(set);
  let excluded = 0;
  for (const wall of merged([
    set.dates.filter((date) => date >= from),
    ...set.rules.map((rule) => ruleWalls(rule, from)),
  ])) {
    if (!excludes(wall)) {
      excluded = 0;
      yield wall;
    } else if (++excluded > MAX_EXCLUDED) return;
  }
}

/** Tells of ascending times whether they are excluded. */
function exclusionsOf({ exRules, exDates }: RecurrenceSet): (wall: Wall) => boolean {
  const next = exRules.map(() => -Infinity);
  return (wall) => {
    exRules.forEach((rule, index) => {
      // Looked for only when the last one that was found has passed: it may be years ahead.
      if (next[index]! < wall) next[index] = first(ruleWalls(rule, wall)) ?? Infinity;
    });
    return exDates.has(wall) || next.includes(wall);
  };
}

const first = (walls: Iterator<Wall, unknown>): Wall | undefined => {
  const result = walls.next();
  return result.done ? undefined : result.value;
};

/** All of several ascending lists, ascending. */
function* merged(lists: readonly Iterable<Wall>[]): Generator<Wall> {
  const iterators = lists.map((list) => list[Symbol.iterator]());
  const heads = iterators.map((iterator) => first(iterator) ?? Infinity);
  for (;;) {
    const earliest = Math.min(...heads);
    if (earliest === Infinity) return;
    const index = heads.indexOf(earliest);
    heads[index] = first(iterators[index]!) ?? Infinity;
    yield earliest;
  }
}

/** The same rule, with the last of its times in place of their count. */
function counted(rule: RecurrenceRule): RecurrenceRule {
  if (rule.count === null) return rule;
  let left = rule.count;
  for (const wall of ruleWalls(rule, rule.start)) if (--left === 0) return { ...rule, until: wall };
  return rule;
}

function linesOf(text: string): Lines {
  const lines: Lines = { start: null, zone: null, rules: [], dates: [], exRules: [], exDates: [] };
  for (const line of text.split(/\s+/)) if (line !== '') addLine(lines, line);
  return lines;
}

function addLine(lines: Lines, line: string): void {
  const colon = line.indexOf(':');
  const value = line.slice(colon + 1).toUpperCase();
  const [name, ...parameters] = colon < 0 ? ['RRULE'] : line.slice(0, colon).split(';');
  const zone = zoneOf(line, parameters);
  switch (name!.toUpperCase()) {
    case 'RRULE':
      lines.rules.push(value);
      break;
    case 'EXRULE':
      lines.exRules.push(value);
      break;
    case 'RDATE':
      lines.dates.push(...value.split(','));
      break;
    case 'EXDATE':
      lines.exDates.push(...value.split(','));
      break;
    case 'DTSTART':
      if (lines.start !== null) throw new InvalidRRuleError(line, 'is a second DTSTART; give one');
      lines.start = value;
      break;
    default:
      throw new InvalidRRuleError(line, 'is none of DTSTART, RRULE, RDATE, EXRULE and EXDATE');
  }
  if (zone !== null && lines.zone !== null && zone !== lines.zone) {
    throw new InvalidRRuleError(line, `names another zone than ${lines.zone}; a schedule has one`);
  }
  lines.zone ??= zone;
}

function zoneOf(line: string, parameters: readonly string[]): string | null {
  let zone: string | null = null;
  for (const parameter of parameters) {
    if (/^TZID=./i.test(parameter)) zone = parameter.slice('TZID='.length);
    else if (!/^(VALUE=DATE(-TIME)?|X-.*)$/i.test(parameter)) {
      throw new InvalidRRuleError(
        line,
        `has a parameter "${parameter}" that is not understood; use TZID or VALUE=DATE-TIME`,
      );
    }
  }
  return zone;
}
