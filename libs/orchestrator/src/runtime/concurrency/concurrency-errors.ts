import { OrchestratorError } from '@nestor/core';

/** Slots were asked for of limits that do not exist, by somebody who wants to be told. */
export class UnknownConcurrencyLimitError extends OrchestratorError {
  readonly code = 'UNKNOWN_CONCURRENCY_LIMIT';

  constructor(readonly limits: readonly string[]) {
    super(
      `There is no concurrency limit ${quoted(limits)}. Create it, or leave strict out: then what has no limit is not limited.`,
    );
  }
}

/** The slots were not to be had in time, or not within the attempts that were allowed. Nothing was executed. */
export class ConcurrencyTimeoutError extends OrchestratorError {
  readonly code = 'CONCURRENCY_TIMEOUT';

  /** @param timeoutMs `null` when it was given up for the number of its attempts. */
  constructor(
    readonly limits: readonly string[],
    readonly slots: number,
    readonly timeoutMs: number | null,
  ) {
    const until = timeoutMs === null ? 'as often as it was to be asked for' : `within ${timeoutMs} ms`;
    super(`${slotsOf(slots)} of ${quoted(limits)} ${slots === 1 ? 'was' : 'were'} not to be had ${until}.`);
  }
}

/** More slots were asked for than the limit has: they would never be free at once. */
export class TooManySlotsError extends OrchestratorError {
  readonly code = 'TOO_MANY_SLOTS';

  constructor(
    readonly limit: string,
    readonly slots: number,
  ) {
    super(`Concurrency limit "${limit}" has fewer than ${slotsOf(slots)}: ask for fewer, or raise it.`);
  }
}

/** A rate was asked for of a limit whose slots do not decay: they would never be free again. */
export class NoSlotDecayError extends OrchestratorError {
  readonly code = 'NO_SLOT_DECAY';

  constructor(readonly limit: string) {
    super(
      `The slots of concurrency limit "${limit}" do not decay, so it is no rate limit. Give it slotDecayPerSecond, or hold its ` +
        `slots with concurrency().`,
    );
  }
}

/**
 * Slots were lost while the code that held them ran: its process was taken for dead, or their lease ran out. Others may have
 * them by now.
 */
export class SlotsLostError extends OrchestratorError {
  readonly code = 'SLOTS_LOST';

  constructor(readonly limits: readonly string[]) {
    super(
      `The slots of ${quoted(limits)} are lost: this process was cut off from the database for so long that others may have ` +
        `them. The code that held them was told by its signal.`,
    );
  }
}

/** A concurrency limit cannot be like that. Nothing was written. */
export class InvalidConcurrencyLimitError extends OrchestratorError {
  readonly code = 'INVALID_CONCURRENCY_LIMIT';

  constructor(
    readonly limit: string,
    readonly problem: string,
  ) {
    super(`Concurrency limit ${JSON.stringify(limit)} cannot be set: ${problem}.`);
  }
}

/** There is a concurrency limit of that name already. */
export class ConcurrencyLimitExistsError extends OrchestratorError {
  readonly code = 'CONCURRENCY_LIMIT_EXISTS';

  constructor(readonly limit: string) {
    super(`There is a concurrency limit "${limit}" already; update it, or choose another name.`);
  }
}

/** There is no concurrency limit of that name. */
export class ConcurrencyLimitNotFoundError extends OrchestratorError {
  readonly code = 'CONCURRENCY_LIMIT_NOT_FOUND';

  constructor(readonly limit: string) {
    super(`There is no concurrency limit "${limit}".`);
  }
}

function quoted(limits: readonly string[]): string {
  return limits.map((limit) => `"${limit}"`).join(', ');
}

function slotsOf(slots: number): string {
  return slots === 1 ? '1 slot' : `${slots} slots`;
}
