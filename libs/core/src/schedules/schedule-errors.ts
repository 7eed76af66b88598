import { OrchestratorError } from '../errors/orchestrator-error.js';

/** Shows what was given, cut off where it would drown the message. */
function quoted(value: unknown): string {
  let text: string;
  try {
    text = typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? String(value));
  } catch {
    text = String(value); // a cycle
  }
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}

/** A schedule is none of the three kinds, or one of its fields has the wrong type. */
export class InvalidScheduleError extends OrchestratorError {
  readonly code = 'INVALID_SCHEDULE';

  constructor(
    readonly value: unknown,
    problem: string,
  ) {
    super(
      `The schedule ${quoted(value)} ${problem}; give one of { cron }, { interval } and { rrule }, ` +
        `such as { cron: "0 9 * * 1-5", timezone: "Europe/Berlin" }.`,
    );
  }
}

/** A schedule names a time zone that this process does not know. */
export class UnknownTimeZoneError extends OrchestratorError {
  readonly code = 'UNKNOWN_TIME_ZONE';

  constructor(readonly timezone: unknown) {
    super(`There is no time zone ${quoted(timezone)}; use an IANA name such as "Europe/Berlin" or "UTC".`);
  }
}

/** A cron expression cannot be read. */
export class InvalidCronError extends OrchestratorError {
  readonly code = 'INVALID_CRON';

  constructor(
    readonly cron: string,
    problem: string,
  ) {
    super(`The cron expression ${quoted(cron)} ${problem}.`);
  }
}

/** The interval of a schedule is shorter than a second, or no duration. */
export class InvalidIntervalError extends OrchestratorError {
  readonly code = 'INVALID_INTERVAL';

  constructor(
    readonly interval: unknown,
    problem: string,
  ) {
    super(
      `The interval ${quoted(interval)} of a schedule ${problem}; give at least a second, such as "90s" or 3600000.`,
    );
  }
}

/** A recurrence rule cannot be read, or it asks for what RFC 5545 does not allow. */
export class InvalidRRuleError extends OrchestratorError {
  readonly code = 'INVALID_RRULE';

  constructor(
    /** The part of the rule that is concerned. */
    readonly part: string,
    problem: string,
  ) {
    super(`In a recurrence rule, ${quoted(part)} ${problem}.`);
  }
}

/**
 * A recurrence rule is longer, or counts further, than can be worked with: its times would have to be
 * counted from the first one on.
 */
export class RRuleTooLargeError extends OrchestratorError {
  readonly code = 'RRULE_TOO_LARGE';

  constructor(
    readonly size: number,
    readonly limit: number,
    what: string,
    remedy: string,
  ) {
    super(`A recurrence rule has ${size} ${what}, but at most ${limit} are allowed; ${remedy}.`);
  }
}

/** A schedule can be read, but there is no time that it names: the 30th of February, or a rule whose dates are all excluded. */
export class ScheduleNeverFiresError extends OrchestratorError {
  readonly code = 'SCHEDULE_NEVER_FIRES';

  constructor(
    /** The cron expression or the recurrence rule. */
    readonly expression: string,
  ) {
    super(`The schedule ${quoted(expression)} never fires: no date satisfies all of it; loosen one of its parts.`);
  }
}
