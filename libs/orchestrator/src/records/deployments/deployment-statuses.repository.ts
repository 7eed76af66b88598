import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Tx } from '../../persistence/transactions.js';
import type { Look } from '../looks/look.js';

/** A deployment that came into another status. */
export interface DeploymentTransition {
  readonly id: string;
  readonly name: string;
  readonly flowId: string;
  readonly status: 'READY' | 'NOT_READY';
}

/** Whether somebody is there for the runs of deployments. */
@Injectable()
export class DeploymentStatusesRepository {
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.schema = schemaOf(dataSource);
  }

  /**
   * Notes that a process takes the runs of these flows that are in no queue; of deployments alone of
   * which that was not known.
   */
  notePolled(tx: Tx, app: string, flowIds: readonly string[]): Promise<DeploymentTransition[]> {
    return this.transitions(tx, IS_NEWS, `status = 'READY', last_polled = clock_timestamp()`, [app, flowIds]);
  }

  /** Whether there are any for {@link notePolled} to note. */
  lookForNews(app: string, flowIds: readonly string[]): Look {
    return { text: this.selection(IS_NEWS), parameters: [app, flowIds], finds: 'rows' };
  }

  /**
   * Brings the statuses of deployments up to date: those with a queue are as ready as somebody asks for its runs, or for
   * theirs; the others while a process of their application lives. Locks those that change; one that somebody else changes
   * at this moment is theirs.
   */
  async settleStatuses(tx: Tx, polledWithinMs: number): Promise<DeploymentTransition[]> {
    const { isLost, isFound } = this;
    const lost = await this.transitions(tx, isLost, `status = 'NOT_READY'`, [polledWithinMs]);
    const found = await this.transitions(tx, isFound, `status = 'READY'`, [polledWithinMs]);
    return [...lost, ...found];
  }

  /** Whether there are any for {@link settleStatuses}. */
  looksForUnsettled(polledWithinMs: number): Look[] {
    return [this.isLost, this.isFound].map((which) => ({
      text: this.selection(which),
      parameters: [polledWithinMs],
      finds: 'rows',
    }));
  }

  private get isLost(): string {
    const isAlive = `exists (
      select from ${this.schema}.process p where p.app = d.app and p.fenced_at is null and p.heartbeat_at > ${SINCE})`;
    return `d.status = 'READY' and not (case when d.work_queue_id is not null then ${this.isPolled} else ${isAlive} end)`;
  }

  private get isFound(): string {
    return `d.status = 'NOT_READY' and d.work_queue_id is not null and ${this.isPolled}`;
  }

  private get isPolled(): string {
    return `coalesce(greatest(d.last_polled, (
      select q.last_polled from ${this.schema}.work_queue q where q.id = d.work_queue_id)) > ${SINCE}, false)`;
  }

  private selection(which: string): string {
    return `select d.id from ${this.schema}.deployment d where ${which} order by d.id`;
  }

  private transitions(
    tx: Tx,
    which: string,
    assignments: string,
    parameters: unknown[],
  ): Promise<DeploymentTransition[]> {
    return tx.query<DeploymentTransition>(
      `with due as materialized (
         ${this.selection(which)} for no key update of d skip locked
       ), changed as (
         update ${this.schema}.deployment d set ${assignments}
           from due where d.id = due.id
         returning d.id, d.name, d.flow_id, d.status
       )
       select id, name, flow_id as "flowId", status from changed`,
      parameters,
    );
  }
}

const SINCE = `clock_timestamp() - $1 * interval '1 millisecond'`;
/** A deployment of flows of a process that takes runs of no queue, of which it is not known that somebody does. */
const IS_NEWS = `d.app = $1 and d.flow_id = any($2::uuid[]) and d.work_queue_id is null and d.status = 'NOT_READY'`;
