import { Inject, Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { getDataSourceToken } from '@nestjs/typeorm';
import type { ClientBase } from 'pg';
import { DataSource } from 'typeorm';
import { borrowedSession } from '../../persistence/borrowed-session.js';
import { databaseIdentity } from '../../persistence/connection/database-identity.js';
import { errorCode, SqlState } from '../../persistence/connection/postgres-errors.js';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { OwedHooksRepository } from '../../records/owed-hooks/owed-hooks.repository.js';
import { TaskQueueRepository } from '../../records/task-queue/task-queue.repository.js';
import { TaskRunsRepository } from '../../records/task-runs/task-runs.repository.js';
import { placeOf, type TaskDefinition } from '../registry/definitions.js';
import { AttemptTransaction } from './attempt-transaction.js';
import { joinable } from './join-transactions.js';
import {
  TransactionalDataSourceDeniedError,
  TransactionalDataSourceElsewhereError,
  TransactionalDataSourceMissingError,
  TransactionalDataSourceTypeError,
} from './transactional-errors.js';

/** The id of no process. */
const NOBODY = '00000000-0000-0000-0000-000000000000';

/** The data sources of the application that transactional tasks name. */
@Injectable()
export class HostDataSources {
  /** How a transaction for a task run is made, by the name of the data source. */
  private readonly makers = new Map<string, (taskRunName: string) => AttemptTransaction>();

  constructor(
    private readonly modules: ModuleRef,
    private readonly taskRuns: TaskRunsRepository,
    private readonly owedHooks: OwedHooksRepository,
    private readonly taskQueue: TaskQueueRepository,
    @Inject(ORCHESTRATOR_DATA_SOURCE) private readonly records: DataSource,
  ) {}

  /**
   * Looks at each data source that one of the tasks names, and lets code join its transactions. Nothing else changes about it.
   *
   * @throws {TransactionalDataSourceMissingError} when there is none of that name.
   * @throws {TransactionalDataSourceTypeError} when it is not of type `postgres`.
   * @throws {TransactionalDataSourceElsewhereError} when it leads to another database than the one that holds the runs.
   * @throws {TransactionalDataSourceDeniedError} when its role may not write records.
   */
  async prepare(tasks: readonly TaskDefinition[]): Promise<void> {
    for (const task of tasks) {
      const name = task.transactional?.dataSource;
      if (name === undefined || this.makers.has(name)) continue;
      const dataSource = this.find(name, placeOf(task));
      await this.refuseUnfit(dataSource, name, placeOf(task));
      const ownRunner = joinable(dataSource);
      this.makers.set(name, (taskRunName) => new AttemptTransaction(dataSource, taskRunName, ownRunner));
    }
  }

  /** A transaction that has not begun. */
  transaction(dataSource: string, taskRunName: string): AttemptTransaction {
    const make = this.makers.get(dataSource);
    if (!make) throw new TransactionalDataSourceMissingError(dataSource, taskRunName);
    return make(taskRunName);
  }

  private find(name: string, place: string): DataSource {
    let dataSource: DataSource;
    try {
      dataSource = this.modules.get<DataSource>(getDataSourceToken(name), { strict: false });
    } catch (error) {
      throw new TransactionalDataSourceMissingError(name, place, error);
    }
    if (!dataSource.isInitialized) throw new TransactionalDataSourceMissingError(name, place);
    return dataSource;
  }

  private async refuseUnfit(dataSource: DataSource, name: string, place: string): Promise<void> {
    const { type } = dataSource.options;
    if (type !== 'postgres') throw new TransactionalDataSourceTypeError(name, place, type);
    const [ours, theirs] = await Promise.all([databaseIdentity(this.records), databaseIdentity(dataSource)]);
    if (ours !== theirs) throw new TransactionalDataSourceElsewhereError(name, place);

    const runner = dataSource.createQueryRunner();
    try {
      const client = (await runner.connect()) as ClientBase;
      await this.taskRuns.rehearseRecord(borrowedSession(client));
      // These fail as they would for a state that owes hooks, and for a run from the queue.
      await this.owedHooks.note(borrowedSession(client), []);
      await this.taskQueue.move(borrowedSession(client), NOBODY, []);
    } catch (error) {
      if (errorCode(error) !== SqlState.InsufficientPrivilege) throw error;
      throw new TransactionalDataSourceDeniedError(name, place, schemaOf(this.records), error);
    } finally {
      await runner.release();
    }
  }
}
