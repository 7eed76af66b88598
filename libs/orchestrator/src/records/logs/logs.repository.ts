import { formatInstant, type Instant } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { DataSource, type Repository } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { preparedStatement, type PreparedStatement, type Tx } from '../../persistence/transactions.js';
import { columnsOf } from '../columns-of.js';
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
    await tx.query(this.appendStatement, columnsOf(logs, APPEND_COLUMNS));
  }

  /** The lines of a flow run and its task runs, oldest first. */
  list(flowRunId: string, { limit }: { limit: number }): Promise<LogEntity[]> {
    return this.logs.find({ where: { flowRunId }, order: { timestamp: 'ASC', id: 'ASC' }, take: limit });
  }
}

const APPEND_COLUMNS: readonly ((log: NewLog) => unknown)[] = [
  ({ timestamp }) => formatInstant(timestamp),
  ({ id }) => id,
  ({ name }) => name,
  ({ level }) => level,
  ({ message }) => message,
  ({ flowRunId }) => flowRunId,
  ({ taskRunId }) => taskRunId,
];

const appendLogs = (schema: string): string => `
  insert into ${schema}.log (timestamp, id, name, level, message, flow_run_id, task_run_id)
  select * from unnest($1::timestamptz[], $2::uuid[], $3::text[], $4::smallint[], $5::text[], $6::uuid[], $7::uuid[])
  on conflict do nothing`;
