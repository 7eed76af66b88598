import { formatInstant, type Instant } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { DataSource, type Repository } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { preparedStatement, type PreparedStatement, type Tx } from '../../persistence/transactions.js';
import { RowSet } from '../row-set.js';
import { LogEntity } from './log.entity.js';

/** One line to keep. */
export interface NewLog {
  readonly id: string;
  readonly timestamp: Instant;
  readonly name: string;
  readonly level: number;
  readonly message: string;
  readonly flowRunId: string | null;
  readonly taskRunId: string | null;
}

@Injectable()
export class LogsRepository {
  private readonly logs: Repository<LogEntity>;
  private readonly appendStatement: PreparedStatement;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.logs = dataSource.getRepository(LogEntity);
    const schema = schemaOf(dataSource);
    this.appendStatement = preparedStatement('append_logs', appendLogs(schema));
  }

  /** Keeps lines; a line that is kept already (after a commit nobody heard of) stays single. */
  async append(tx: Tx, logs: readonly NewLog[]): Promise<void> {
    await tx.query(this.appendStatement, newLogs.parameters(logs));
  }

  /** The lines of a flow run and its task runs, oldest first. */
  list(flowRunId: string, { limit }: { limit: number }): Promise<LogEntity[]> {
    return this.logs.find({ where: { flowRunId }, order: { timestamp: 'ASC', id: 'ASC' }, take: limit });
  }
}

const newLogs = new RowSet<NewLog>([
  ['timestamp', 'timestamptz', ({ timestamp }) => formatInstant(timestamp)],
  ['id', 'uuid', ({ id }) => id],
  ['name', 'text', ({ name }) => name],
  ['level', 'smallint', ({ level }) => level],
  ['message', 'text', ({ message }) => message],
  ['flow_run_id', 'uuid', ({ flowRunId }) => flowRunId],
  ['task_run_id', 'uuid', ({ taskRunId }) => taskRunId],
]);

const appendLogs = (schema: string): string => `
  insert into ${schema}.log (${newLogs.names}) select * from ${newLogs.source(1, 'l')} on conflict do nothing`;
