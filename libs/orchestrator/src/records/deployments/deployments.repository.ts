import { Inject, Injectable } from '@nestjs/common';
import { DataSource, type Repository } from 'typeorm';
import { isId, newId } from '../../persistence/ids.js';
import { schemaOf } from '../../persistence/schema-of.js';
import { storableJson } from '../../persistence/storable-json.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Tx } from '../../persistence/transactions.js';
import {
  CONFIGURED,
  deploymentAsJson,
  DEPLOYMENT_PROPERTIES,
  NEW_DEPLOYMENT,
  type DeploymentConfiguration,
  type DeploymentIdentity,
} from './deployment-rows.js';
import { DeploymentVersionEntity } from './deployment-version.entity.js';
import { DeploymentEntity } from './deployment.entity.js';
import { columnsOf, selected } from './stored-columns.js';

/** What a page of deployments is narrowed to and where it starts. */
interface DeploymentPage {
  readonly limit: number;
  /** Only deployments made after this one. */
  readonly after?: string;
  readonly flowId?: string;
}

/** Keeps deployments, and what they were configured with before. */
@Injectable()
export class DeploymentsRepository {
  private readonly deployments: Repository<DeploymentEntity>;
  private readonly versions: Repository<DeploymentVersionEntity>;
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource) {
    this.deployments = dataSource.getRepository(DeploymentEntity);
    this.versions = dataSource.getRepository(DeploymentVersionEntity);
    this.schema = schemaOf(dataSource);
  }

  async find(id: string): Promise<DeploymentEntity | null> {
    return isId(id) ? this.deployments.findOneBy({ id }) : null;
  }

  /** By the name of its flow and its own. Rides `flow_name_key` and `deployment_flow_name_key`. */
  async findByNames(flowName: string, name: string): Promise<DeploymentEntity | null> {
    const [row] = await this.dataSource.query<{ id: string }[]>(
      `select d.id from ${this.schema}.deployment d join ${this.schema}.flow f on f.id = d.flow_id
        where f.name = $1 and d.name = $2`,
      [flowName, name],
    );
    return row ? this.find(row.id) : null;
  }

  /** In the order in which they were made. */
  list({ limit, after, flowId }: DeploymentPage): Promise<DeploymentEntity[]> {
    const query = this.deployments.createQueryBuilder('d').orderBy('d.id').limit(limit);
    if (after !== undefined) query.andWhere('d.id > :after', { after });
    if (flowId !== undefined) query.andWhere('d.flow_id = :flowId', { flowId });
    return query.getMany();
  }

  /** Locks a deployment against whoever else changes it; `null` when there is none. Rides `deployment_flow_name_key`. */
  async lockByName(tx: Tx, flowId: string, name: string): Promise<DeploymentEntity | null> {
    return this.locked(tx, 'flow_id = $1 and name = $2', [flowId, name]);
  }

  /** The same by its id. */
  async lock(tx: Tx, id: string): Promise<DeploymentEntity | null> {
    return this.locked(tx, 'id = $1', [id]);
  }

  /**
   * Makes a deployment; tells whether it did: one of the name may have been made by somebody else meanwhile, for whose
   * transaction this waits.
   */
  async insert(tx: Tx, row: DeploymentIdentity & DeploymentConfiguration): Promise<boolean> {
    const columns = columnsOf(NEW_DEPLOYMENT);
    const rows = await tx.query(
      `insert into ${this.schema}.deployment (${columns})
       select ${columns} from json_populate_record(null::${this.schema}.deployment, $1::json)
       on conflict (flow_id, name) do nothing returning id`,
      [deploymentAsJson(row)],
    );
    return rows.length > 0;
  }

  /**
   * Puts another configuration in the place of that of a deployment that is locked. Keys that may do no
   * more are looked at again.
   */
  async configure(
    tx: Tx,
    id: string,
    row: DeploymentConfiguration,
    { managed, updatedBy }: Pick<DeploymentEntity, 'managed' | 'updatedBy'>,
  ): Promise<void> {
    const columns = columnsOf(CONFIGURED);
    await tx.query(
      `with news as (
         insert into ${this.schema}.fair_news (app, deployment_id)
         select d.app, d.id from ${this.schema}.deployment d where d.id = $1 and d.fairness is not null
       )
       update ${this.schema}.deployment
          set (${columns}) = (select ${columns} from json_populate_record(null::${this.schema}.deployment, $2::json)),
              managed = $3, updated_by = $4::jsonb, updated = clock_timestamp()
        where id = $1`,
      [id, deploymentAsJson(row), managed, updatedBy && storableJson(updatedBy)],
    );
  }

  /**
   * Has deployments whose runs wait in queues that are about to go have them wait elsewhere. Locks the deployments, then their
   * schedules, like whoever changes a deployment: runs that are made of a schedule at this moment are there when this resolves,
   * and later ones wait where they are to. Rides `deployment_work_queue_idx`.
   *
   * @param to another queue of the pool; `null`: in no pool.
   */
  async leaveQueues(
    tx: Tx,
    queueIds: readonly string[],
    to: { readonly id: string; readonly name: string } | null,
  ): Promise<void> {
    const rows = await tx.query<{ id: string }>(
      `select id from ${this.schema}.deployment where work_queue_id = any($1::uuid[]) order by id for update`,
      [queueIds],
    );
    if (rows.length === 0) return;
    const ids = rows.map(({ id }) => id);
    await tx.query(
      `select id from ${this.schema}.deployment_schedule where deployment_id = any($1::uuid[]) order by id for update`,
      [ids],
    );
    await tx.query(
      `update ${this.schema}.deployment
          set work_pool_name = case when $2::uuid is not null then work_pool_name end, work_queue_id = $2::uuid,
              work_queue_name = $3, updated = clock_timestamp()
        where id = any($1::uuid[])`,
      [ids, to?.id ?? null, to?.name ?? null],
    );
  }

  /** Pauses a deployment that is locked for that reason; `null` lets it go on. */
  async setPaused(tx: Tx, id: string, reason: DeploymentEntity['pausedReason']): Promise<void> {
    await tx.query(
      `update ${this.schema}.deployment
          set paused = $2::text is not null, paused_reason = $2::text, updated = clock_timestamp() where id = $1`,
      [id, reason],
    );
  }

  /** Deletes a deployment that is locked, its schedules and its versions. */
  async delete(tx: Tx, id: string): Promise<void> {
    await tx.query(
      `with schedules as (delete from ${this.schema}.deployment_schedule where deployment_id = $1),
            versions as (delete from ${this.schema}.deployment_version where deployment_id = $1)
       delete from ${this.schema}.deployment where id = $1`,
      [id],
    );
  }

  /**
   * Deployments that were declared in the code of an application and are going on, with the names of their flows. Rides
   * `deployment_app_idx`.
   */
  managed(app: string): Promise<Pick<DeploymentEntity, 'id' | 'flowId' | 'name'>[]> {
    return this.dataSource.query(
      `select id, flow_id as "flowId", name from ${this.schema}.deployment
        where app = $1 and managed and paused_reason is distinct from 'removed' order by id`,
      [app],
    );
  }

  /**
   * Deployments of flows that are in no queue, by whether they are paused because nobody served them. Rides
   * `deployment_flow_name_key`.
   */
  servedFreely(
    app: string,
    flowIds: readonly string[],
    { away }: { readonly away: boolean },
  ): Promise<Pick<DeploymentEntity, 'id' | 'flowId' | 'name'>[]> {
    return this.dataSource.query(
      `select id, flow_id as "flowId", name from ${this.schema}.deployment
        where app = $1 and flow_id = any($2::uuid[]) and work_queue_id is null
          and ${away ? `paused_reason = 'away'` : 'not paused'} order by id`,
      [app, flowIds],
    );
  }

  /** Whether another process that lives takes the runs of a flow that are in no queue. One that does not say is one that may. */
  async isServed(tx: Tx, app: string, flowId: string, processId: string, leaseMs: number): Promise<boolean> {
    const [row] = await tx.query<{ is: boolean }>(
      `select exists (
         select from ${this.schema}.process p
          where p.app = $1 and p.id <> $3 and p.fenced_at is null
            and p.heartbeat_at > clock_timestamp() - $4 * interval '1 millisecond'
            and (p.flow_ids is null or $2::uuid = any(p.flow_ids))
            and coalesce((p.serves ->> 'unqueued')::boolean, true)) as is`,
      [app, flowId, processId, leaseMs],
    );
    return row?.is ?? false;
  }

  /** Notes what a deployment that is locked is configured with from now on; gives the number of that version. */
  async addVersion(tx: Tx, { deploymentId, version, configuration, createdBy }: NewDeploymentVersion): Promise<number> {
    const [row] = await tx.query<{ number: number }>(
      `insert into ${this.schema}.deployment_version (id, deployment_id, number, version, configuration, created_by)
       select $1, $2, coalesce(max(number), 0) + 1, $3, $4::jsonb, $5::jsonb
         from ${this.schema}.deployment_version where deployment_id = $2
       returning number`,
      [newId(), deploymentId, version, storableJson(configuration), createdBy && storableJson(createdBy)],
    );
    return row?.number ?? 1;
  }

  /** Newest first, those before number `before`, if one is given. Rides `deployment_version_number_key`. */
  versionsOf(deploymentId: string, limit: number, before?: number): Promise<DeploymentVersionEntity[]> {
    const query = this.versions.createQueryBuilder('v').where('v.deployment_id = :deploymentId', { deploymentId });
    if (before !== undefined) query.andWhere('v.number < :before', { before });
    return query.orderBy('v.number', 'DESC').limit(limit).getMany();
  }

  findVersion(deploymentId: string, number: number): Promise<DeploymentVersionEntity | null> {
    return this.versions.findOneBy({ deploymentId, number });
  }

  private async locked(tx: Tx, condition: string, parameters: readonly unknown[]): Promise<DeploymentEntity | null> {
    const [row] = await tx.query<DeploymentEntity>(
      `select ${selected(DEPLOYMENT_PROPERTIES, 'd')} from ${this.schema}.deployment d where ${condition} for update`,
      parameters,
    );
    return row ?? null;
  }
}

/** What a deployment is configured with from a change on. */
type NewDeploymentVersion = Pick<DeploymentVersionEntity, 'deploymentId' | 'version' | 'configuration' | 'createdBy'>;
