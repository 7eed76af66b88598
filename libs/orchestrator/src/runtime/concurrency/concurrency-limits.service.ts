import { Injectable } from '@nestjs/common';
import type { Instant } from '@nestor/core';
import { SqlState, errorCode } from '../../persistence/connection/postgres-errors.js';
import { Transactions } from '../../persistence/transactions.js';
import type { HandedClaim } from '../../records/concurrency-limits/concurrency-claims.repository.js';
import { ConcurrencyLimitsRepository } from '../../records/concurrency-limits/concurrency-limits.repository.js';
import { checkedLimit, MAX_PAGE } from '../queries.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { ConcurrencyLimitExistsError, ConcurrencyLimitNotFoundError } from './concurrency-errors.js';
import { HandOver } from './hand-over.service.js';
import { LimitedTags } from './limited-tags.service.js';
import { checkedSettings, type ConcurrencyLimitSettings } from './limit-settings.js';
import type { SlotHold } from './slot-blocking.js';
import { SlotBlocks } from './slot-blocks.service.js';
import { slotRequest, type ConcurrencyOptions, type RateLimitOptions } from './slot-options.js';

/** A concurrency limit as it stands. */
export interface ConcurrencyLimit {
  readonly id: string;
  readonly name: string;
  readonly limit: number;
  readonly active: boolean;
  readonly slotDecayPerSecond: number;
  /** How many slots are in use; where they decay, rounded up. */
  readonly activeSlots: number;
  /** How many claims wait for slots. */
  readonly waiting: number;
  /** How many slots were refused of late to those who do not wait in line. */
  readonly deniedSlots: number;
  /** How long slots are held, averaged over those of late; 2 seconds to begin with. */
  readonly averageOccupancyMs: number;
  readonly created: Instant;
  readonly updated: Instant;
}

/** A slot that is in use. */
export interface SlotInUse {
  /** From 1. */
  readonly number: number;
  /** Since when, by the clock of the database. */
  readonly since: Instant;
  /** The claim it was taken with: slots that were taken together have the same. */
  readonly leaseId: string;
  /** The flow run whose code holds it, or that holds it itself; `null` outside any. */
  readonly flowRunId: string | null;
  readonly taskRunId: string | null;
  /** The process whose code holds it; `null` for a slot of a flow run or under a lease. */
  readonly processId: string | null;
  /** When it is free unless its lease is renewed; `null` where it has none. */
  readonly expiresAt: Instant | null;
  /** What the client under whose lease it is says of itself. */
  readonly holder: Readonly<Record<string, unknown>> | null;
}

/**
 * Named budgets of slots, shared by all applications of the schema: how many may do something at once, or how often a second.
 *
 * At every commit, no more slots of a limit are in use than it has, unless it was lowered below them. A limit that is changed
 * holds for what is asked for from then on; whoever waits for slots that become free by the change has them at once.
 */
@Injectable()
export class ConcurrencyLimits {
  constructor(
    private readonly limits: ConcurrencyLimitsRepository,
    private readonly transactions: Transactions,
    private readonly handOver: HandOver,
    private readonly blocks: SlotBlocks,
    private readonly limitedTags: LimitedTags,
    private readonly clock: DatabaseClock,
  ) {}

  /**
   * @throws {InvalidConcurrencyLimitError} when a setting cannot be meant.
   * @throws {ConcurrencyLimitExistsError} when there is one of that name.
   */
  async create(
    name: string,
    settings: ConcurrencyLimitSettings & { readonly limit: number },
  ): Promise<ConcurrencyLimit> {
    const { limit, active = true, slotDecayPerSecond = 0 } = checkedSettings(name, settings);
    const created = { name, limit: limit ?? settings.limit, active, slotDecayPerSecond };
    const done = await this.transactions.single((tx) => this.limits.create(tx, created));
    if (!done) throw new ConcurrencyLimitExistsError(name);
    await this.announce();
    return this.get(name);
  }

  /**
   * Changes what is given. A limit that is lowered takes nothing away from those who hold its slots.
   *
   * @throws {InvalidConcurrencyLimitError} when a setting cannot be meant.
   * @throws {ConcurrencyLimitNotFoundError} when there is none of that name.
   * @throws {ConcurrencyLimitExistsError} when there is one of the new name.
   */
  async update(
    name: string,
    changes: ConcurrencyLimitSettings & { readonly name?: string },
  ): Promise<ConcurrencyLimit> {
    const checked = { ...checkedSettings(changes.name ?? name, changes), name: changes.name };
    await this.changed(name, () => this.limits.update(this.transactions, name, checked, this.clock.leadUs));
    return this.get(changes.name ?? name);
  }

  /** From then on the limit holds. @throws {ConcurrencyLimitNotFoundError} */
  async enable(name: string): Promise<void> {
    await this.update(name, { active: true });
  }

  /**
   * From then on, and until it is enabled again, the limit does not hold, and takes no slots. @throws
   * {ConcurrencyLimitNotFoundError}
   */
  async disable(name: string): Promise<void> {
    await this.update(name, { active: false });
  }

  /**
   * Takes all slots away from those who hold them, for whoever waits: when something else than this service knows that they
   * are not needed. Code that holds them goes on, and hears of it only when its slots have a lease of their own.
   *
   * @throws {ConcurrencyLimitNotFoundError}
   */
  async reset(name: string): Promise<void> {
    await this.changed(name, () => this.limits.update(this.transactions, name, { isReset: true }, this.clock.leadUs));
  }

  /** Removes a limit: what names it is not limited by it any more. Tells whether there was one. */
  async delete(name: string): Promise<boolean> {
    const handed = await this.limits.delete(this.transactions, name, this.clock.leadUs);
    if (!handed) return false;
    this.handOver.tell(handed);
    await this.announce();
    return true;
  }

  /** `null` when there is none of that name. */
  find(name: string): Promise<ConcurrencyLimit | null> {
    return this.limits.find(name, this.clock.leadUs);
  }

  /** @throws {ConcurrencyLimitNotFoundError} when there is none of that name. */
  async get(name: string): Promise<ConcurrencyLimit> {
    const found = await this.find(name);
    if (!found) throw new ConcurrencyLimitNotFoundError(name);
    return found;
  }

  /**
   * The limits by name, a page at a time.
   *
   * @param page `limit` 1 to 200, default 200; `after` is the name of the last one of the page before.
   * @throws {InvalidQueryError} when `limit` cannot be meant.
   */
  list({ limit = MAX_PAGE, after }: { readonly limit?: number; readonly after?: string } = {}): Promise<
    ConcurrencyLimit[]
  > {
    return this.limits.list({ limit: checkedLimit(limit), after: after ?? null }, this.clock.leadUs);
  }

  /**
   * The slots of a limit that are in use, and who has them since when, by number, a page at a time. Slots that decay are not
   * listed: nobody has them.
   *
   * @param page `limit` 1 to 200, default 200; `after` is the number of the last one of the page before.
   * @throws {InvalidQueryError} when `limit` cannot be meant.
   */
  slots(
    name: string,
    { limit = MAX_PAGE, after = 0 }: { readonly limit?: number; readonly after?: number } = {},
  ): Promise<SlotInUse[]> {
    return this.limits.slots(name, { limit: checkedLimit(limit), after });
  }

  /** The same as the function `concurrency()`, by the limits of this application, wherever it is called. */
  async concurrency<T>(
    names: string | readonly string[],
    options: number | ConcurrencyOptions,
    work: (held: SlotHold) => Promise<T>,
  ): Promise<T> {
    return this.blocks.hold(slotRequest(names, options), work);
  }

  /** The same as the function `rateLimit()`, by the limits of this application, wherever it is called. */
  async rateLimit(names: string | readonly string[], options: RateLimitOptions = {}): Promise<void> {
    return this.blocks.pass(slotRequest(names, options, true));
  }

  private async changed(name: string, change: () => Promise<HandedClaim[] | null>): Promise<void> {
    let handed: HandedClaim[] | null;
    try {
      handed = await change();
    } catch (error) {
      if (errorCode(error) === SqlState.UniqueViolation) throw new ConcurrencyLimitExistsError(name);
      throw error;
    }
    if (!handed) throw new ConcurrencyLimitNotFoundError(name);
    this.handOver.tell(handed);
    await this.announce();
  }

  private async announce(): Promise<void> {
    this.handOver.limitsChanged();
    await this.limitedTags.refresh();
  }
}
