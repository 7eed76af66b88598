import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Look } from '../looks/look.js';
import type { FlowRunEntity } from '../flow-runs/flow-run.entity.js';
import type { AwaitedLimit } from '../flow-runs/run-situations.repository.js';
import { instantParameter } from '../stored-state.js';
import { timeAhead } from '../time-ahead.js';

/** Runs and keys that go first are counted up to this many. */
const MOST_COUNTED = 1_000;

/** Where a run stands in the line of its key. */
interface PlaceInLine {
  /** How many due runs of its key go first; 1,000 stands for as many or more. */
  readonly ahead: number;
  /** How many other keys take turns where it waits; 1,000 likewise. */
  readonly keys: number;
}

/**
 * The lines in which runs with keys wait. Runs are put there when they are made, and taken by who claims
 * them: see migration 0018.
 */
@Injectable()
export class FairLinesRepository {
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource) {
    this.schema = schemaOf(dataSource);
  }

  /** Removes limits of keys that nobody uses, and finds runs whose line got lost. Whoever asks first in a minute does it. */
  async tidy(app: string): Promise<void> {
    await this.dataSource.query(`select ${this.schema}.fair_tidy($1)`, [app]);
  }

  /** When somebody has to {@link tidy}; never where no run has had a key. */
  lookForUntidy(app: string): Look {
    const text = `
      select (extract(epoch from a.tidied_at + interval '1 minute' - clock_timestamp()) * 1000)::float8 as ms
        from ${this.schema}.fair_app a where a.app = $1`;
    return { text, parameters: [app], finds: 'ms' };
  }

  /** Rides `flow_run_line_idx` and `fair_line_awake_idx`. */
  async placeOf(
    { id, app, fairLineId, nextScheduledStartTime, priority, workQueueId }: FlowRunEntity,
    leadUs: number,
  ): Promise<PlaceInLine> {
    const [place] = await this.dataSource.query<PlaceInLine[]>(
      `select (select count(*)::integer from (
                 select from ${this.schema}.flow_run r
                  where r.fair_line_id = $1 and r.state_type = 'SCHEDULED' and r.process_id is null and not r.awaits_turn
                    and r.next_scheduled_start_time <= ${timeAhead('$4')}
                    and (r.next_scheduled_start_time, r.id) < ($2::timestamptz, $3::uuid)
                  limit ${MOST_COUNTED}) as before) as ahead,
              (select count(*)::integer from (
                 select from ${this.schema}.fair_line l
                  where l.app = $5 and l.lane = $6 and l.priority <= $7 and l.wakes_at is null and l.id <> $1
                  limit ${MOST_COUNTED}) as others) as keys`,
      [fairLineId, instantParameter(nextScheduledStartTime), id, leadUs, app, workQueueId ?? '', priority],
    );
    return place ?? { ahead: 0, keys: 0 };
  }

  /** The limits of its deployment and its key that have no room for a run. Rides `concurrency_limit_name_key`. */
  usedUp({ deploymentId, fairnessKey }: FlowRunEntity, leadUs: number): Promise<Omit<AwaitedLimit, 'ahead'>[]> {
    return this.dataSource.query(
      `select l.id, l.name, l."limit", l.slot_decay_per_second as "slotDecayPerSecond", 1 as slots, null as "taskRunId",
              case when l.slot_decay_per_second > 0 then
                ${timeAhead('$3')} + (1 - room.free) / l.slot_decay_per_second * interval '1 second' end as "refillsAt"
         from ${this.schema}.fair_limits(array[$1::uuid], array[$2::text]) as f
         join ${this.schema}.concurrency_limit l on l.name = f.name
        cross join lateral ${this.schema}.concurrency_room(array[l.id], ${timeAhead('$3')}) as room
        where f.waits and room.free < 1
        order by l.name`,
      [deploymentId, fairnessKey, leadUs],
    );
  }
}
