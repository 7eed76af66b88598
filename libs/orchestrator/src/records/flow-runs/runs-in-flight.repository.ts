import type { Instant, StateType } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { instantParameter } from '../stored-state.js';

/** A run that has begun and not ended. */
export interface RunInFlight {
  readonly id: string;
  readonly name: string;
  readonly flowId: string;
  readonly flowName: string;
  readonly stateType: StateType;
  readonly stateName: string;
  readonly buildId: string | null;
  readonly pinnedBuildId: string | null;
  readonly nextScheduledStartTime: Instant | null;
}

const COLUMNS = `r.id, r.name, r.flow_id as "flowId", coalesce(f.name, r.flow_id::text) as "flowName",
              r.state_type as "stateType", r.state_name as "stateName", r.build_id as "buildId",
              r.pinned_build_id as "pinnedBuildId", r.next_scheduled_start_time as "nextScheduledStartTime"`;

/** Reads the runs of an application that have begun and not ended, page by page; locks nothing. */
@Injectable()
export class RunsInFlightRepository {
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource) {
    this.schema = schemaOf(dataSource);
  }

  /** Those that wait to go on, by the time at which they do. Rides `flow_run_due_idx`. */
  waiting(app: string, after: RunInFlight | null, limit: number): Promise<RunInFlight[]> {
    return this.dataSource.query(
      `select ${COLUMNS}
         from ${this.schema}.flow_run r
         left join ${this.schema}.flow f on f.id = r.flow_id
        where r.app = $1 and r.state_type = 'SCHEDULED' and r.run_count > 0
          and ($3::uuid is null or (r.next_scheduled_start_time, r.id) > ($2::timestamptz, $3::uuid))
        order by r.next_scheduled_start_time, r.id
        limit $4`,
      [app, instantParameter(after?.nextScheduledStartTime ?? null), after?.id ?? null, limit],
    );
  }

  /** All others, by state and age. Rides `flow_run_active_idx`. */
  active(app: string, after: RunInFlight | null, limit: number): Promise<RunInFlight[]> {
    return this.dataSource.query(
      `select ${COLUMNS}
         from ${this.schema}.flow_run r
         left join ${this.schema}.flow f on f.id = r.flow_id
        where r.app = $1 and r.state_type in ('PENDING', 'RUNNING', 'CANCELLING', 'PAUSED') and r.run_count > 0
          and ($3::uuid is null or (r.state_type, r.id) > ($2::text, $3::uuid))
        order by r.state_type, r.id
        limit $4`,
      [app, after?.stateType ?? null, after?.id ?? null, limit],
    );
  }
}
