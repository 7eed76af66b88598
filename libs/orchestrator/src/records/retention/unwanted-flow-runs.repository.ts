import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Tx } from '../../persistence/transactions.js';
import { ENDED } from './ended-before.js';
import { removalOf, type RemovedRuns } from './removal-statement.js';

/** Flow runs that somebody wants to be gone, however old they are. */
@Injectable()
export class UnwantedFlowRunsRepository {
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.schema = schemaOf(dataSource);
  }

  /**
   * Removes those of the runs that have ended and that nobody holds any more, with all within them: see {@link removalOf}.
   * What is left of them then is noted, for the retention of the application to remove. Locks the runs in the order of
   * their ids, and waits for whoever moves one on at this moment; after that it takes the row of the retention, which waits
   * for no run itself.
   */
  async remove(tx: Tx, app: string, ids: readonly string[], now: string): Promise<RemovedRuns> {
    const { schema } = this;
    const [row] = await tx.query<RemovedRuns>(
      removalOf(schema, {
        outermost: `outermost as materialized (
          select r.id, r.auto_scheduled, r.expected_start_time from ${schema}.flow_run r
           where r.id = any($2::uuid[]) and r.id = r.root_flow_run_id and r.state_type in ${ENDED} and r.process_id is null
             and not exists (
               select from ${schema}.flow_run s
                where s.root_flow_run_id = r.id and s.parent_task_run_id is not null and s.state_type not in ${ENDED})
           order by r.id
             for update
        )`,
        noted: `
          insert into ${schema}.retention_pass as p (app, next_at, removing)
          select $1, clock_timestamp(), array(select id from runs) where exists (select from runs)
          on conflict (app) do update set removing = p.removing || excluded.removing`,
        now: '$3',
      }),
      [app, ids, now],
    );
    return row!;
  }
}
