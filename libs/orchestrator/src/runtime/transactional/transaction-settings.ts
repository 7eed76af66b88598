/** Isolation levels of PostgreSQL; `READ UNCOMMITTED` is `READ COMMITTED` there. */
export type TransactionIsolation = 'READ COMMITTED' | 'REPEATABLE READ' | 'SERIALIZABLE';

/** The transactions in which the attempts of a task run. */
export interface TransactionSettings {
  /** The name of the TypeORM data source; `default` for the one without a name. */
  readonly dataSource: string;
  /** `null` for that of the data source. */
  readonly isolation: TransactionIsolation | null;
}
