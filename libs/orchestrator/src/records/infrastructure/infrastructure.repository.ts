import { Inject, Injectable } from '@nestjs/common';
import { DataSource, IsNull, LessThan, Not, type Repository } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { storableText } from '../../persistence/storable-json.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Tx } from '../../persistence/transactions.js';
import { InfrastructureEntity } from './infrastructure.entity.js';
import { buryLapsed, claimNeedless, failTearDown, forgetFinished, noteStarted } from './infrastructure-statements.js';

/** What was started for a run that was submitted under an epoch. */
interface StartedInfrastructure {
  readonly id: string;
  readonly flowRunId: string;
  readonly leaseEpoch: number;
  readonly type: string;
  readonly identifier: string;
  readonly processId: string;
}

/** Which infrastructure somebody can end. */
interface TearDownRequest {
  readonly app: string;
  readonly types: readonly string[];
  readonly poolNames: readonly string[];
  readonly limit: number;
  /** For how long nobody else is about it. */
  readonly claimMs: number;
}

/** Infrastructure that is to be ended. */
export type TearDownOrder = Pick<
  InfrastructureEntity,
  'id' | 'flowRunId' | 'workPoolName' | 'type' | 'identifier' | 'attempts'
>;

/** The same, given up. */
export type BuriedTearDown = TearDownOrder & { readonly error: string | null };

/** Keeps what was started for runs and outlives its worker; and who is about to end it. */
@Injectable()
export class InfrastructureRepository {
  private readonly rows: Repository<InfrastructureEntity>;
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.rows = dataSource.getRepository(InfrastructureEntity);
    this.schema = schemaOf(dataSource);
  }

  /** Noting it a second time, under another name, keeps the last one. */
  async noteStarted(tx: Tx, one: StartedInfrastructure): Promise<void> {
    const { id, flowRunId, leaseEpoch, type, identifier, processId } = one;
    const parameters = [id, flowRunId, leaseEpoch, type, storableText(identifier), processId];
    await tx.query(noteStarted(this.schema), parameters);
  }

  /** It has ended. */
  async noteEnded(tx: Tx, flowRunId: string, leaseEpoch: number): Promise<void> {
    await tx.query(`delete from ${this.schema}.infrastructure where flow_run_id = $1 and lease_epoch = $2`, [
      flowRunId,
      leaseEpoch,
    ]);
  }

  /** Its worker, which lives, lost sight of it. */
  async letGo(tx: Tx, flowRunId: string, leaseEpoch: number): Promise<void> {
    await tx.query(
      `update ${this.schema}.infrastructure set process_id = null where flow_run_id = $1 and lease_epoch = $2`,
      [flowRunId, leaseEpoch],
    );
  }

  /** Takes infrastructure to end that no run needs and whose worker is gone; each attempt counts from here on. */
  async claimNeedless(tx: Tx, { app, types, poolNames, limit, claimMs }: TearDownRequest): Promise<TearDownOrder[]> {
    return tx.query(claimNeedless(this.schema), [app, types, poolNames, limit, claimMs]);
  }

  /** An attempt succeeded. */
  async remove(tx: Tx, id: string): Promise<void> {
    await tx.query(`delete from ${this.schema}.infrastructure where id = $1`, [id]);
  }

  /**
   * An attempt failed: it is tried again after a pause, or given up when there were `most`.
   *
   * @returns the order when it is given up.
   */
  async fail(
    tx: Tx,
    { id, attempts }: Pick<TearDownOrder, 'id' | 'attempts'>,
    error: string,
    { most, pauseMs }: { readonly most: number; readonly pauseMs: number },
  ): Promise<BuriedTearDown | null> {
    const parameters = [id, attempts, storableText(error), most, pauseMs];
    const [row] = await tx.query<BuriedTearDown>(failTearDown(this.schema), parameters);
    return row ?? null;
  }

  /** Forgets what brought its run to an end after its worker was gone: it ends by itself. */
  async forgetFinished(tx: Tx, app: string, types: readonly string[]): Promise<void> {
    await tx.query(forgetFinished(this.schema), [app, types]);
  }

  /** Gives up what was tried often enough by processes that never said what came of it. */
  buryLapsed(tx: Tx, app: string, types: readonly string[], most: number): Promise<BuriedTearDown[]> {
    return tx.query(buryLapsed(this.schema), [app, types, most]);
  }

  /** What was given up, newest first. Rides `infrastructure_dead_idx`. */
  dead(app: string, { limit, before }: { limit: number; before?: string }): Promise<InfrastructureEntity[]> {
    return this.rows.find({
      where: { app, deadAt: Not(IsNull()), ...(before !== undefined && { id: LessThan(before) }) },
      order: { id: 'DESC' },
      take: limit,
    });
  }

  /** Has what was given up tried again; tells whether it was there. */
  async revive(tx: Tx, app: string, id: string): Promise<boolean> {
    const rows = await tx.query(
      `update ${this.schema}.infrastructure set dead_at = null, due_at = null, attempts = 0
        where id = $2 and app = $1 and dead_at is not null returning id`,
      [app, id],
    );
    return rows.length > 0;
  }

  /** Forgets what was given up; tells whether it was there. */
  async discard(tx: Tx, app: string, id: string): Promise<boolean> {
    const rows = await tx.query(
      `delete from ${this.schema}.infrastructure where id = $2 and app = $1 and dead_at is not null returning id`,
      [app, id],
    );
    return rows.length > 0;
  }
}
