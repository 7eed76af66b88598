import type { Instant } from '@nestor/core';
import { Entity, PrimaryColumn } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

/** Since when nobody has looked after the schedules of an application. */
@Entity('schedule_watch', {
  comment:
    'When a process of an application last looked after its schedules: what was due since then, all of them missed.',
})
export class ScheduleWatchEntity {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'schedule_watch_pkey' })
  app!: string;

  @InstantColumn()
  seenAt!: Instant;
}
