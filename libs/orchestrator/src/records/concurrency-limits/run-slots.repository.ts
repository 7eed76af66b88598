import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { newId } from '../../persistence/ids.js';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { Transactions, type Tx } from '../../persistence/transactions.js';
import type { Look } from '../looks/look.js';
import { timeAhead } from '../time-ahead.js';
import { HANDED, type HandedClaim } from './concurrency-claims.repository.js';
import { gracePeriodOf } from './grace-period.js';

/** A run that needs a slot of its deployment. */
export interface RunOfDeployment {
  readonly id: string;
  readonly deploymentId: string;
}

/** What came of asking for one; nothing is said of runs that are under no limit. */
export interface SecuredRun extends RunOfDeployment {
  readonly outcome: 'granted' | 'unlimited' | 'waiting' | 'refused' | 'too-many';
  /** The lowest of the limits that it is under. */
  readonly limit: number;
  readonly strategy: 'ENQUEUE' | 'CANCEL_NEW' | 'CANCEL_RUNNING' | 'REPLACE_PENDING';
}

/** A move of a run by which it lets go of its slot, or of its place in the line. */
export interface SlotRelease {
  readonly runId: string;
  /** The state that the move leads to. */
  readonly stateId: string;
}

/**
 * Slots that flow runs hold of the limits of their deployments, for as long as they go on, whichever process executes them.
 * The limit of a deployment is kept under the name `deployment:` and its id, that of a key under `fairness:`, that id, and
 * the key; both follow what the deployment says.
 */
@Injectable()
export class RunSlotsRepository {
  private readonly schema: string;

  constructor(
    @Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource,
    private readonly transactions: Transactions,
  ) {
    this.schema = schemaOf(dataSource);
  }

  /**
   * Takes a slot for each run, in their order, or puts it into the line of its deployment, and of its key; not where that
   * cancels new ones. A run that has slots, or a place, keeps them: so does one that was taken in turn. The limits are made
   * what the deployments say and locked first, in the order of their ids: the runs are in another one.
   */
  async secure(runs: readonly RunOfDeployment[], leadUs: number): Promise<SecuredRun[]> {
    const ids = runs.map(({ id }) => id);
    const [, secured] = await this.transactions.together<unknown[]>([
      (tx) =>
        tx.query(
          `select ${this.schema}.fair_lock_limits(array_agg(r.deployment_id), array_agg(r.fairness_key))
             from ${this.schema}.flow_run r where r.id = any($1::uuid[])`,
          [ids],
        ),
      (tx) =>
        tx.query(
          `select r.id::text, r.deployment_id::text as "deploymentId", a.outcome, r."limit", r.strategy
             from (select g.id, g.claim_id, d.id as deployment_id, l.names, l."limit",
                          coalesce(d.concurrency_options ->> 'collision_strategy', 'ENQUEUE') as strategy
                     from unnest($1::uuid[], $2::uuid[]) with ordinality as g(id, claim_id, place)
                     join ${this.schema}.flow_run r on r.id = g.id
                     join ${this.schema}.deployment d on d.id = r.deployment_id
                    cross join lateral (
                      select array_agg(f.name) as names, min(f.slots) as "limit"
                        from ${this.schema}.fair_limits(array[d.id], array[r.fairness_key]) as f where f.decay = 0) as l
                    where l.names is not null
                    order by g.place offset 0) as r
            cross join lateral ${this.schema}.concurrency_acquire(
              r.claim_id, r.names, 1, false, false, r.strategy <> 'CANCEL_NEW', null, r.id, null, null, null, $3) as a`,
          [ids, ids.map(() => newId()), leadUs],
        ),
    ]);
    return (secured ?? []) as SecuredRun[];
  }

  /**
   * Ends the claims of runs that were moved in the same transaction, and tells that their keys may do more. Rides
   * `concurrency_claim_flow_run_idx`.
   *
   * @returns who got what.
   */
  release(tx: Tx, moves: readonly SlotRelease[]): Promise<HandedClaim[]> {
    return tx.query<HandedClaim>(
      `with over as materialized (
         select c.id, r.app, r.deployment_id, r.fairness_key
           from unnest($1::uuid[], $2::uuid[]) as m(run_id, state_id)
           join ${this.schema}.flow_run r on r.id = m.run_id and r.state_id = m.state_id
           join ${this.schema}.concurrency_claim c on c.flow_run_id = m.run_id
          where c.process_id is null and c.task_run_id is null
       ), news as (
         insert into ${this.schema}.fair_news (app, deployment_id, key)
         select distinct app, deployment_id, fairness_key from over where fairness_key is not null
       )
       select ${HANDED} from ${this.schema}.concurrency_release(array(select id from over), 0)`,
      [moves.map(({ runId }) => runId), moves.map(({ stateId }) => stateId)],
    );
  }

  /**
   * Ends the claims of those of the runs that wait to be taken. Locks the runs, so that whoever takes one at this moment finds it
   * without a slot, or keeps it. Rides `concurrency_claim_flow_run_idx`. @returns who got what.
   */
  giveBack(tx: Tx, runIds: readonly string[]): Promise<HandedClaim[]> {
    return tx.query<HandedClaim>(
      `with waiting as materialized (
         select r.id
           from ${this.schema}.flow_run r
          where r.id = any($1::uuid[]) and r.state_type = 'SCHEDULED' and r.process_id is null
          order by r.id
            for no key update
       )
       select ${HANDED} from ${this.schema}.concurrency_release(array(
         select c.id
           from waiting
           join ${this.schema}.concurrency_claim c on c.flow_run_id = waiting.id
          where c.process_id is null and c.task_run_id is null), 0)`,
      [runIds],
    );
  }

  /**
   * Runs that have had slots for longer than the grace period of their deployment, and that could begin and do not: nobody is
   * there who takes them. Those first that have had them longest. Rides `concurrency_claim_granted_run_idx`.
   */
  async idle(limit: number, leadUs: number): Promise<string[]> {
    const rows = await this.dataSource.query<{ id: string }[]>(this.idleStatement(), [limit, leadUs]);
    return rows.map(({ id }) => id);
  }

  /** Runs that wait for a slot and have one by now: nobody has told them. Rides `concurrency_claim_granted_run_idx`. */
  async ready(limit: number): Promise<string[]> {
    const rows = await this.dataSource.query<{ id: string }[]>(this.readyStatement(), [limit]);
    return rows.map(({ id }) => id);
  }

  /** The runs that hold slots of a deployment and are not asked to end, the oldest first. */
  async holders(deploymentId: string): Promise<string[]> {
    const rows = await this.dataSource.query<{ id: string }[]>(
      `select r.id::text
         from ${this.schema}.concurrency_limit l
         join ${this.schema}.concurrency_slot s on s.limit_id = l.id
         join ${this.schema}.concurrency_claim c on c.id = s.claim_id
         join ${this.schema}.flow_run r on r.id = c.flow_run_id
        where l.name = 'deployment:' || $1 and r.state_type not in ('CANCELLING', 'CANCELLED')
        order by s.taken_at, r.id`,
      [deploymentId],
    );
    return rows.map(({ id }) => id);
  }

  /** The runs that wait for a slot of a deployment, those that wait longest first. Rides `concurrency_waiter_pkey`. */
  async waiting(deploymentId: string): Promise<string[]> {
    const rows = await this.dataSource.query<{ id: string }[]>(
      `select c.flow_run_id::text as id
         from ${this.schema}.concurrency_limit l
         join ${this.schema}.concurrency_waiter w on w.limit_id = l.id
         join ${this.schema}.concurrency_claim c on c.id = w.claim_id
        where l.name = 'deployment:' || $1
        order by w.position`,
      [deploymentId],
    );
    return rows.map(({ id }) => id);
  }

  /**
   * Ends claims of runs that have ended or are gone without letting go of them: a process of an earlier release knows nothing of
   * slots. And lets limits follow deployments that were changed while runs wait for their slots, and those in who have room by
   * that: whoever claims a run brings its limits up to date as well, and hands nothing over.
   */
  async reconcile(limit: number): Promise<HandedClaim[]> {
    const changed = this.changed();
    const [ended] = await this.transactions.together<unknown[]>([
      (tx) =>
        tx.query(
          `with over as materialized (${this.leftover()} limit $1)
           select ${HANDED} from ${this.schema}.concurrency_release(array(select id from over), 0)`,
          [limit],
        ),
      (tx) => tx.query(`select ${this.schema}.concurrency_lock(array(${changed}))`),
      (tx) =>
        tx.query(
          `update ${this.schema}.concurrency_limit l
              set "limit" = coalesce(d.concurrency_limit, l."limit"), active = d.concurrency_limit is not null, updated = now()
             from (select c.id, d.concurrency_limit
                     from (${changed}) as c
                     join ${this.schema}.concurrency_limit l on l.id = c.id
                     left join ${this.schema}.deployment d on l.name = 'deployment:' || d.id) as d
            where d.id = l.id`,
        ),
    ]);
    const settled = await this.transactions.single((tx) =>
      tx.query<HandedClaim>(`select ${HANDED} from ${this.schema}.concurrency_settle(array(${this.withLines()}), 0)`),
    );
    return [...((ended ?? []) as HandedClaim[]), ...settled];
  }

  /** Whether there is something to {@link reconcile}: most of the time there is not, and nothing is locked then. */
  async isAmiss(): Promise<boolean> {
    const rows = await this.dataSource.query<{ amiss: boolean }[]>(
      `select exists (${this.leftover()}) or exists (${this.changed()}) or exists (${this.heldUp()}) as amiss`,
    );
    return rows[0]?.amiss ?? false;
  }

  /** Whether any are {@link idle} or {@link ready}, or anything {@link isAmiss}. */
  looksForForgotten(limit: number, leadUs: number): Look[] {
    return [
      { text: this.idleStatement(), parameters: [limit, leadUs], finds: 'rows' },
      { text: this.readyStatement(), parameters: [limit], finds: 'rows' },
      { text: this.leftover(), parameters: [], finds: 'rows' },
      { text: this.changed(), parameters: [], finds: 'rows' },
      { text: this.heldUp(), parameters: [], finds: 'rows' },
    ];
  }

  private idleStatement(): string {
    return `
      select r.id::text
        from ${this.schema}.concurrency_claim c
        join ${this.schema}.flow_run r on r.id = c.flow_run_id
        left join ${this.schema}.deployment d on d.id = r.deployment_id
       where c.process_id is null and c.task_run_id is null and c.flow_run_id is not null and c.granted_at is not null
         and r.state_type = 'SCHEDULED' and r.process_id is null and r.state_name <> 'AwaitingConcurrencySlot'
         and greatest(c.granted_at, r.updated, r.next_scheduled_start_time)
             < ${timeAhead('$2')} - ${gracePeriodOf('d')} * interval '1 second'
       order by c.granted_at limit $1`;
  }

  private readyStatement(): string {
    return `
      select r.id::text
        from ${this.schema}.concurrency_claim c
        join ${this.schema}.flow_run r on r.id = c.flow_run_id
       where c.process_id is null and c.task_run_id is null and c.flow_run_id is not null and c.granted_at is not null
         and r.state_type = 'SCHEDULED' and r.state_name = 'AwaitingConcurrencySlot' and r.process_id is null
       order by c.granted_at limit $1`;
  }

  /** Claims of runs that have ended, or are gone. Rides `concurrency_claim_flow_run_idx`. */
  private leftover(): string {
    return `
      select c.id
        from ${this.schema}.concurrency_claim c
        left join ${this.schema}.flow_run r on r.id = c.flow_run_id
       where c.process_id is null and c.task_run_id is null and c.flow_run_id is not null
         and (r.id is null or r.state_type in ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED'))`;
  }

  /** Limits that hold, and are not what their deployments say. */
  private changed(): string {
    return `
      select l.id
        from ${this.schema}.concurrency_limit l
        left join ${this.schema}.deployment d on l.name = 'deployment:' || d.id
       where starts_with(l.name, 'deployment:') and l.active
         and d.concurrency_limit is distinct from l."limit"`;
  }

  /** Runs that stand in line although there are slots for them: whoever gives slots back hands them over, so a limit was raised. */
  private heldUp(): string {
    return `select r.claim_id from ${this.schema}.concurrency_ready(array(${this.withLines()}), clock_timestamp()) as r`;
  }

  /** Limits of runs for which any wait. Rides `concurrency_waiter_pkey`. */
  private withLines(): string {
    return `
      select l.id
        from ${this.schema}.concurrency_limit l
       where (starts_with(l.name, 'deployment:') or starts_with(l.name, 'fairness:'))
         and exists (select from ${this.schema}.concurrency_waiter w where w.limit_id = l.id)`;
  }
}
