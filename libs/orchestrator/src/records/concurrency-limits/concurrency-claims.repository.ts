import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { channelOfProcessSql } from '../../persistence/channels.js';
import { schemaOf } from '../../persistence/schema-of.js';
import { storableJson } from '../../persistence/storable-json.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { preparedStatement, type PreparedStatement, type Tx } from '../../persistence/transactions.js';
import type { Look } from '../looks/look.js';

/** Slots that somebody asks for. */
interface SlotClaim {
  /** The same when it is asked for again because the answer got lost. */
  readonly id: string;
  /** Of the limits; those that do not exist, or are not active, do not count. */
  readonly names: readonly string[];
  /** Of each limit. */
  readonly slots: number;
  /** Whether the slots come back by decay alone, and nothing is held. */
  readonly isRate: boolean;
  /** Whether all the names have to be those of limits. */
  readonly isStrict: boolean;
  /** Whether to stand in line where slots are not free. */
  readonly mayWait: boolean;
  /** Whose claim it is, if it is to end with that process. */
  readonly processId: string | null;
  readonly flowRunId: string | null;
  readonly taskRunId: string | null;
  /** How long after it is granted it ends unless it is renewed; `null`: it does not. */
  readonly leaseMs: number | null;
  readonly holder: Readonly<Record<string, unknown>> | null;
}

/** A limit that slots were taken of. */
export interface LimitOfClaim {
  readonly id: string;
  readonly name: string;
  readonly limit: number;
}

/** What became of a claim. */
export interface ClaimAnswer {
  /**
   * - `granted`; `unlimited`: none of the names is that of an active limit, and nothing is held; `waiting`: it stands in line;
   *   `refused`: slots are not free, and it was not to wait.
   * - `unknown`, `too-many`, `no-decay`: it cannot be granted as it is; `fenced`: its process may do nothing any more.
   */
  readonly outcome: 'granted' | 'unlimited' | 'waiting' | 'refused' | 'unknown' | 'too-many' | 'no-decay' | 'fenced';
  /** The claim that holds: another one than was asked for where the flow run has one already. */
  readonly claimId: string | null;
  readonly limits: readonly LimitOfClaim[] | null;
  /** Names that are not those of limits. */
  readonly unknown: readonly string[] | null;
  /** The limit that makes it wait, or impossible. */
  readonly culprit: string | null;
  /** When slots should be free: of limits with decay exactly, otherwise as far as can be told from how long slots are held. */
  readonly waitMs: number | null;
}

/** A claim that was handed the slots it had waited for. */
export interface HandedClaim {
  readonly id: string;
  readonly processId: string | null;
  readonly flowRunId: string | null;
}

/** Who gives slots back. */
interface Releasing {
  /** See `DatabaseClock.leadUs`. */
  readonly leadUs: number;
  readonly processId: string;
}

/** How a claim that waits stands. */
export interface PolledClaim {
  readonly id: string;
  readonly outcome: 'granted' | 'waiting' | 'too-many' | 'gone';
  /** Of a line at a rate: when its turn comes, if nobody before it gives up. */
  readonly waitMs: number | null;
}

/**
 * Who holds slots, and who waits for them. Every statement is one call of a function of the database, which locks the rows of the
 * limits in the order of their ids; see migrations 0015, 0022 and 0024.
 */
@Injectable()
export class ConcurrencyClaimsRepository {
  private readonly schema: string;
  private readonly acquireStatement: PreparedStatement;
  private readonly releaseStatement: PreparedStatement;
  private readonly pollStatement: PreparedStatement;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    const schema = (this.schema = schemaOf(dataSource));
    this.acquireStatement = preparedStatement(
      'acquire_slots',
      `select outcome, claim_id::text as "claimId", limits, unknown, culprit, wait_ms as "waitMs"
         from ${schema}.concurrency_acquire($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
    );
    this.releaseStatement = preparedStatement(
      'release_slots',
      `select ${HANDED},
              case when process_id <> $3::uuid
                   then pg_notify(${channelOfProcessSql('process_id')}, 'slot:' || claim_id)::text end as told
         from ${schema}.concurrency_release($1, $2)`,
    );
    this.pollStatement = preparedStatement(
      'poll_claims',
      `select claim_id::text as id, outcome, wait_ms as "waitMs" from ${schema}.concurrency_poll($1, $2)`,
    );
  }

  /** @param leadUs see `DatabaseClock.leadUs`. */
  async acquire(tx: Tx, claim: SlotClaim, leadUs: number): Promise<ClaimAnswer> {
    const { id, names, slots, isRate, isStrict, mayWait, processId, flowRunId, taskRunId, leaseMs, holder } = claim;
    const [answer] = await tx.query<ClaimAnswer>(this.acquireStatement, [
      ...[id, names, slots, isRate, isStrict, mayWait, processId, flowRunId, taskRunId, leaseMs],
      ...[holder && storableJson(holder), leadUs],
    ]);
    if (!answer) throw new Error('concurrency_acquire() gave no answer.');
    return answer;
  }

  /**
   * Ends claims, granted or not; a second time changes nothing. Other processes than `processId` hear at the commit itself
   * of what they got: a notification of its own, afterwards, would take as long again. (Notifying transactions are committed
   * one by one, as those that release slots of one limit are anyway.)
   *
   * @returns who got what became free.
   */
  release(tx: Tx, ids: readonly string[], { leadUs, processId }: Releasing): Promise<HandedClaim[]> {
    return tx.query<HandedClaim>(this.releaseStatement, [ids, leadUs, processId]);
  }

  /** Looks after claims that wait, and grants those that can be. */
  poll(tx: Tx, ids: readonly string[], leadUs: number): Promise<PolledClaim[]> {
    return tx.query<PolledClaim>(this.pollStatement, [ids, leadUs]);
  }

  /** Lets a claim end that much later from now on; whether it is still there to be renewed. */
  async renew(tx: Tx, id: string, leaseMs: number): Promise<boolean> {
    const rows = await tx.query(
      `update ${this.schema}.concurrency_claim
          set expires_at = clock_timestamp() + $2 * interval '1 millisecond'
        where id = $1 and expires_at > clock_timestamp()
       returning 1`,
      [id, leaseMs],
    );
    return rows.length > 0;
  }

  /**
   * Ends claims, at most `limit`, of processes that are fenced or gone, and those whose lease has run out. Rides
   * `concurrency_claim_process_idx` and `concurrency_claim_expiry_idx`.
   */
  async endAbandoned(tx: Tx, limit: number, leadUs: number): Promise<{ ended: number; handed: HandedClaim[] }> {
    const [found] = await tx.query<{ ended: number; handed: HandedClaim[] }>(
      `with over as materialized (
         ${this.ofNobody()}
         union all
         select c.id from ${this.schema}.concurrency_claim c where c.expires_at <= clock_timestamp()
         limit $1
       )
       select (select count(*) from over)::integer as ended,
              coalesce((select jsonb_agg(jsonb_build_object('id', claim_id, 'processId', process_id, 'flowRunId', flow_run_id))
                          from ${this.schema}.concurrency_release(array(select id from over), $2)
                         where exists (select from over)), '[]') as handed`,
      [limit, leadUs],
    );
    return found ?? { ended: 0, handed: [] };
  }

  /** Whether there are any that are abandoned, and when the next lease runs out: see {@link endAbandoned}. */
  looksForAbandoned(): Look[] {
    const expiry = `
      select (extract(epoch from min(c.expires_at) - clock_timestamp()) * 1000)::float8 as ms
        from ${this.schema}.concurrency_claim c where c.expires_at is not null`;
    return [
      { text: this.ofNobody(), parameters: [], finds: 'rows' },
      { text: expiry, parameters: [], finds: 'ms' },
    ];
  }

  private ofNobody(): string {
    return `
         select c.id from ${this.schema}.concurrency_claim c
          where c.process_id is not null
            and not exists (select from ${this.schema}.process p where p.id = c.process_id and p.fenced_at is null)`;
  }
}

/** The columns of the functions that hand slots over. */
export const HANDED = 'claim_id::text as id, process_id::text as "processId", flow_run_id::text as "flowRunId"';
