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
export const HISTORIC_START = 'DTSTART:20200101T000000';
const MAX_LENGTH = 6_500;
/** Times that are counted once, when a rule is read: 20 ms. */
const MAX_COUNT = 100_000;
/** How many times in a row may be excluded until a set counts as ended. */
const MAX_EXCLUDED = 10_000;

/**
 * Puts a `DTSTART` in front of lines that have none, and tells which zone theirs names (`DTSTART;TZID=Europe/Berlin:…`).
 *
 * @throws {InvalidRRuleError} {@link RRuleTooLargeError}
 */
export function withStart(text: string): { readonly rrule: string; readonly zone: string | null } {
  const length = text.startsWith(`${HISTORIC_START}\n`) ? text.length - HISTORIC_START.length - 1 : text.length;
  if (length > MAX_LENGTH) {
    throw new RRuleTooLargeError(
      length,
      MAX_LENGTH,
      'characters',
      'write dates as a rule, or divide them among schedules',
    );
  }
  const { start, zone } = linesOf(text);
  return { rrule: start === null ? `${HISTORIC_START}\n${text}` : text, zone };
}

/**
 * Reads the lines of an RRULE schedule. A rule with a `COUNT` is counted through and bounded by its last time, so that it
 * can be entered anywhere, like the others.
 *
 * @throws {InvalidRRuleError} {@link RRuleTooLargeError}
 */
export function parseRecurrenceSet(text: string): RecurrenceSet {
  const lines = linesOf(text);
  const start = wallOfText(lines.start ?? HISTORIC_START.slice('DTSTART:'.length));
  const dates = lines.dates.map(wallOfText).sort((a, b) => a - b);
  const rules = lines.rules.map((rule) => counted(parseRecurrenceRule(rule, start)));
  const exRules = lines.exRules
    .map((rule) => counted(parseRecurrenceRule(rule, start)))
    .filter((rule) => !ruleWalls(rule, rule.start).next().done); // a search in vain would be repeated for every time
  if (rules.length + dates.length === 0) throw new InvalidRRuleError(text, 'has neither RRULE nor RDATE');
  return { rules, dates, exRules, exDates: new Set(lines.exDates.map(wallOfText)) };
}

/** The times of a set from `from` on, ascending; one that several rules name may come several times. */
export function* setWalls(set: RecurrenceSet, from: Wall): Generator<Wall> {
  const dates = set.dates.filter((date) => date >= from).values();
  const sources = [dates, ...set.rules.map((rule) => ruleWalls(rule, from))];
  const heads = sources.map((source) => source.next());
  for (let excluded = 0; excluded <= MAX_EXCLUDED;) {
    let earliest = -1;
    heads.forEach(({ done, value }, index) => {
      if (!done && (earliest < 0 || value < (heads[earliest]!.value as Wall))) earliest = index;
    });
    if (earliest < 0) return;
    const wall = heads[earliest]!.value as Wall;
    heads[earliest] = sources[earliest]!.next();
    if (set.exDates.has(wall) || set.exRules.some((rule) => ruleWalls(rule, wall).next().value === wall)) {
      excluded++;
    } else {
      excluded = 0;
      yield wall;
    }
  }
}

function counted(rule: RecurrenceRule): RecurrenceRule {
  if (rule.count === null) return rule;
  if (rule.count > MAX_COUNT) {
    throw new RRuleTooLargeError(rule.count, MAX_COUNT, 'times to COUNT', 'give the last one with UNTIL instead');
  }
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
