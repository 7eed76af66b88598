import type { Instant } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { newId } from '../../persistence/ids.js';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Transactions, Tx } from '../../persistence/transactions.js';
import type { Look } from '../looks/look.js';
import { HANDED, type HandedClaim } from './concurrency-claims.repository.js';

/** A limit as it stands. */
interface LoadedLimit {
  readonly id: string;
  readonly created: Instant;
  readonly updated: Instant;
  readonly name: string;
  readonly limit: number;
  readonly active: boolean;
  readonly slotDecayPerSecond: number;
  readonly activeSlots: number;
  readonly deniedSlots: number;
  readonly averageOccupancyMs: number;
  readonly waiting: number;
}

/** A slot in use, and who has it. */
interface LoadedSlot {
  readonly number: number;
  readonly since: Instant;
  readonly leaseId: string;
  readonly flowRunId: string | null;
  readonly taskRunId: string | null;
  readonly processId: string | null;
  readonly expiresAt: Instant | null;
  readonly holder: Readonly<Record<string, unknown>> | null;
}

/** What is changed of a limit; the rest stays. */
interface LimitChanges {
  readonly name?: string | undefined;
  readonly limit?: number | undefined;
  readonly active?: boolean | undefined;
  readonly slotDecayPerSecond?: number | undefined;
  /** Whether the slots in use are taken from those who have them. */
  readonly isReset?: boolean;
}

/** The limits themselves. */
@Injectable()
export class ConcurrencyLimitsRepository {
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource) {
    this.schema = schemaOf(dataSource);
  }

  /** Tells whether it did: a name is given once. Rides `concurrency_limit_name_key`. */
  async create(
    tx: Tx,
    { name, limit, active, slotDecayPerSecond }: Required<Omit<LimitChanges, 'isReset'>>,
  ): Promise<boolean> {
    const rows = await tx.query(
      `insert into ${this.schema}.concurrency_limit (id, name, "limit", active, slot_decay_per_second)
       values ($1, $2, $3, $4, $5) on conflict (name) do nothing returning 1`,
      [newId(), name, limit, active, slotDecayPerSecond],
    );
    return rows.length > 0;
  }

  /**
   * Changes a limit, and hands over what becomes free by it. What has decayed so far is settled before the decay changes.
   *
   * @param leadUs see `DatabaseClock.leadUs`.
   * @returns who got slots; `null` when there is no such limit.
   */
  async update(
    transactions: Transactions,
    name: string,
    { name: newName, limit, active, slotDecayPerSecond, isReset = false }: LimitChanges,
    leadUs: number,
  ): Promise<HandedClaim[] | null> {
    const { schema } = this;
    const inUse = `(select count(*) from ${schema}.concurrency_slot s where s.limit_id = l.id)`;
    const change = `
      update ${schema}.concurrency_limit l
         set "limit" = coalesce($2, l."limit"), active = coalesce($3, l.active),
             slot_decay_per_second = coalesce($4, l.slot_decay_per_second),
             decaying_slots = case when $5 then 0
                                   when $4 > 0 and l.slot_decay_per_second = 0 then ${inUse}
                                   else l.decaying_slots end,
             denied_slots = case when $5 then 0 else l.denied_slots end, updated = clock_timestamp()
       where l.name = $1 returning 1`;
    const changed = await this.underLock(
      transactions,
      name,
      leadUs,
      [
        (tx) => tx.query(change, [name, limit ?? null, active ?? null, slotDecayPerSecond ?? null, isReset]),
        ...(isReset ? [this.freeSlots(name)] : []),
      ],
      newName === undefined
        ? null
        : (tx) => tx.query(`update ${schema}.concurrency_limit set name = $2 where name = $1`, [name, newName]),
    );
    return changed;
  }

  /** Removes a limit: who waits for it waits no longer. @returns who got slots; `null` when there is no such limit. */
  delete(transactions: Transactions, name: string, leadUs: number): Promise<HandedClaim[] | null> {
    const off = `update ${this.schema}.concurrency_limit set active = false where name = $1 returning 1`;
    const gone = `delete from ${this.schema}.concurrency_limit where name = $1`;
    return this.underLock(transactions, name, leadUs, [(tx) => tx.query(off, [name])], (tx) => tx.query(gone, [name]));
  }

  private freeSlots(name: string) {
    return (tx: Tx): Promise<unknown[]> =>
      tx.query(`delete from ${this.schema}.concurrency_slot where limit_id = ${this.idOf('$1')}`, [name]);
  }

  /**
   * Locks a limit, brings its counts up to now, changes it (the first change says whether it is there), hands over what is free,
   * and does the rest.
   */
  private async underLock(
    transactions: Transactions,
    name: string,
    leadUs: number,
    changes: readonly ((tx: Tx) => Promise<unknown[]>)[],
    last: ((tx: Tx) => Promise<unknown[]>) | null,
  ): Promise<HandedClaim[] | null> {
    const given = `array[${this.idOf('$1')}]`;
    const at = `clock_timestamp() + $2::bigint * interval '1 microsecond'`;
    const answers = await transactions.together<unknown[]>([
      (tx) => tx.query(`select ${this.schema}.concurrency_lock(${given})`, [name]),
      (tx) => tx.query(`select ${this.schema}.concurrency_count(${given}, 0, 0, ${at})`, [name, leadUs]),
      ...changes,
      (tx) => tx.query(`select ${HANDED} from ${this.schema}.concurrency_settle(${given}, $2)`, [name, leadUs]),
      ...(last ? [last] : []),
    ]);
    const isThere = answers[2]?.length === 1;
    return isThere ? (answers[2 + changes.length] as HandedClaim[]) : null;
  }

  private idOf(parameter: string): string {
    return `(select id from ${this.schema}.concurrency_limit where name = ${parameter})`;
  }

  /** @param leadUs see `DatabaseClock.leadUs`. */
  async find(name: string, leadUs: number): Promise<LoadedLimit | null> {
    const [found] = await this.dataSource.query<LoadedLimit[]>(`${this.selection('$1')} where l.name = $2`, [
      leadUs,
      name,
    ]);
    return found ?? null;
  }

  /** By name, those after `after`, if one is given. Byte by byte, whatever the database's language. */
  list({ limit, after }: { limit: number; after: string | null }, leadUs: number): Promise<LoadedLimit[]> {
    return this.dataSource.query<LoadedLimit[]>(
      `${this.selection('$1')} where $2::text is null or l.name collate "C" > $2 order by l.name collate "C" limit $3`,
      [leadUs, after, limit],
    );
  }

  /** The slots of a limit that are in use, in the order of their numbers. Rides `concurrency_slot_pkey`. */
  slots(name: string, { limit, after }: { limit: number; after: number }): Promise<LoadedSlot[]> {
    return this.dataSource.query<LoadedSlot[]>(
      `select s.number, s.taken_at as since, c.id::text as "leaseId", c.flow_run_id::text as "flowRunId",
              c.task_run_id::text as "taskRunId", c.process_id::text as "processId", c.expires_at as "expiresAt", c.holder
         from ${this.schema}.concurrency_slot s
         join ${this.schema}.concurrency_claim c on c.id = s.claim_id
        where s.limit_id = ${this.idOf('$1')} and s.number > $2
        order by s.number limit $3`,
      [name, after, limit],
    );
  }

  /** What the names of active limits have after a prefix. Rides `concurrency_limit_name_key`, from `prefix` on. */
  async namesAfter(prefix: string): Promise<string[]> {
    const rows = await this.dataSource.query<{ rest: string }[]>(
      `select substr(name, length($1) + 1) as rest from ${this.schema}.concurrency_limit
        where active and starts_with(name, $1)`,
      [prefix],
    );
    return rows.map(({ rest }) => rest);
  }

  /** Whether {@link namesAfter} would give others than these. */
  lookForOthersAfter(prefix: string, known: readonly string[]): Look {
    const text = `
      select from ${this.schema}.concurrency_limit
       where active and starts_with(name, $1) and substr(name, length($1) + 1) <> all($2::text[])
       union all
      select from unnest($2::text[]) as k(rest)
       where not exists (select from ${this.schema}.concurrency_limit l where l.active and l.name = $1 || k.rest)`;
    return { text, parameters: [prefix, known], finds: 'rows' };
  }

  private selection(leadUs: string): string {
    const at = `clock_timestamp() + ${leadUs}::bigint * interval '1 microsecond'`;
    const left = `${this.schema}.concurrency_after_decay(l.decaying_slots, l.slot_decay_per_second, l.counted_at, ${at})`;
    const denied = `${this.schema}.concurrency_after_decay(l.denied_slots, ${this.schema}.concurrency_clearing(l), l.counted_at, ${at})`;
    return `
      select l.id::text, l.created, l.updated, l.name, l."limit", l.active,
             l.slot_decay_per_second as "slotDecayPerSecond",
             case when l.slot_decay_per_second > 0 then ceil(${left})
                  else (select count(*) from ${this.schema}.concurrency_slot s where s.limit_id = l.id) end::float8
               as "activeSlots",
             ceil(${denied}) as "deniedSlots", l.avg_slot_occupancy_seconds * 1000 as "averageOccupancyMs",
             (select count(*) from ${this.schema}.concurrency_waiter w where w.limit_id = l.id)::float8 as waiting
        from ${this.schema}.concurrency_limit l`;
  }
}
