import { durationMs, spread, type Duration } from '@nestor/core';
import { Injectable } from '@nestjs/common';
import { newId } from '../../persistence/ids.js';
import { Transactions } from '../../persistence/transactions.js';
import { ConcurrencyClaimsRepository } from '../../records/concurrency-limits/concurrency-claims.repository.js';
import { checkedId } from '../queries.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { NoSlotDecayError, TooManySlotsError, UnknownConcurrencyLimitError } from './concurrency-errors.js';
import { HandOver } from './hand-over.service.js';
import { SlotEvents } from './slot-events.service.js';
import { slotRequest } from './slot-options.js';

/** Slots that somebody asks for who is no process of ours, or holds them across processes. */
export interface LeaseRequest {
  /** Of the limits. Those that do not exist, or are not active, do not count. */
  readonly limits: string | readonly string[];
  /** How many slots of each limit; a whole number from 1. Default 1. */
  readonly slots?: number;
  /** How long the lease holds unless it is renewed, at least `1s`. Default `5m`. */
  readonly lease?: Duration;
  /** Whether a name that is not that of a limit is an error. Default: no. */
  readonly strict?: boolean;
  /** Who it is, for people and for whoever releases it; plain JSON data. */
  readonly holder?: Readonly<Record<string, unknown>>;
}

/** Slots under a lease. */
export interface SlotLease {
  readonly kind: 'granted';
  readonly leaseId: string;
  /** The limits that slots are held of. */
  readonly limits: readonly string[];
}

/** Not all of the slots are free, and none was taken. */
export interface SlotsRefused {
  readonly kind: 'refused';
  /** The limit that has none. */
  readonly limit: string;
  /**
   * When to ask again: as long as slots are held on average, for all those who were refused before, and apart from them by a
   * random part; where slots decay, as long as they take. At most 30 seconds, of limits of tags 10, unless they decay.
   */
  readonly retryAfterMs: number;
}

const DEFAULT_LEASE: Duration = '5m';
const JITTER = 0.3;

/**
 * Slots under leases that expire, for those who cannot be watched: programs elsewhere, or work that goes on across
 * processes. They ask again when they are refused, and do not stand in line; those who do are served before them.
 *
 * Whoever does not renew a lease in time loses it: its slots are free at most a few seconds after it has run out.
 */
@Injectable()
export class ConcurrencyLeases {
  constructor(
    private readonly claims: ConcurrencyClaimsRepository,
    private readonly transactions: Transactions,
    private readonly handOver: HandOver,
    private readonly events: SlotEvents,
    private readonly clock: DatabaseClock,
  ) {}

  /**
   * Takes slots of all the limits, or of none.
   *
   * @throws {TooManySlotsError} when a limit has fewer slots than are asked for.
   * @throws {UnknownConcurrencyLimitError} when `strict` is given and a name is not that of a limit.
   * @throws {InvalidSlotOptionError} and {@link InvalidDurationError} when an option cannot be meant.
   */
  async acquire({
    limits,
    slots = 1,
    lease = DEFAULT_LEASE,
    strict = false,
    holder,
  }: LeaseRequest): Promise<SlotLease | SlotsRefused> {
    const { leaseMs } = slotRequest(limits, { leaseDuration: lease });
    return this.take({ limits, slots, strict, leaseMs, holder: holder ?? null, isRate: false });
  }

  /**
   * Takes slots that come back by decay; nothing is held, and the lease id is of no use.
   *
   * @throws {NoSlotDecayError} when the slots of one of the limits do not decay; and the others as {@link acquire} does.
   */
  async pass({
    limits,
    slots = 1,
    strict = false,
  }: Pick<LeaseRequest, 'limits' | 'slots' | 'strict'>): Promise<SlotLease | SlotsRefused> {
    return this.take({ limits, slots, strict, leaseMs: null, holder: null, isRate: true });
  }

  /** Lets a lease hold for that long from now on. `false` when it is gone: its slots may be somebody else's. */
  async renew(leaseId: string, lease: Duration = DEFAULT_LEASE): Promise<boolean> {
    checkedId(leaseId, 'a lease');
    const leaseMs = durationMs(lease, 'lease');
    return this.transactions.single((tx) => this.claims.renew(tx, leaseId, leaseMs));
  }

  /** Gives the slots of a lease back. Of one that is gone nothing is left to give back, which is no error. */
  async release(leaseId: string): Promise<void> {
    checkedId(leaseId, 'a lease');
    await this.handOver.release([leaseId]);
  }

  private async take({
    limits,
    slots,
    strict,
    leaseMs,
    holder,
    isRate,
  }: {
    readonly limits: string | readonly string[];
    readonly slots: number;
    readonly strict: boolean;
    readonly leaseMs: number | null;
    readonly holder: Readonly<Record<string, unknown>> | null;
    readonly isRate: boolean;
  }): Promise<SlotLease | SlotsRefused> {
    const request = slotRequest(limits, { occupy: slots, strict }, isRate);
    const nobody = { processId: null, flowRunId: null, taskRunId: null };
    const claim = { ...request, ...nobody, id: newId(), mayWait: false, leaseMs, holder };
    const answer = await this.transactions.single((tx) => this.claims.acquire(tx, claim, this.clock.leadUs));
    const culprit = answer.culprit ?? '';
    const taken = answer.limits ?? [];
    switch (answer.outcome) {
      case 'unknown':
        throw new UnknownConcurrencyLimitError(answer.unknown ?? []);
      case 'too-many':
        throw new TooManySlotsError(culprit, slots);
      case 'no-decay':
        throw new NoSlotDecayError(culprit);
      case 'refused':
        return { kind: 'refused', limit: culprit, retryAfterMs: spread(answer.waitMs ?? 0, JITTER, Math.random()) };
      default:
        this.events.append('acquired', taken, slots, []);
        return { kind: 'granted', leaseId: claim.id, limits: taken.map(({ name }) => name) };
    }
  }
}
