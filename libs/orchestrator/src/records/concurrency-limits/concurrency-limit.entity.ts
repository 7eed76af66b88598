import type { Instant } from '@nestor/core';
import { Check, Column, Entity, PrimaryColumn, Unique } from 'typeorm';
import { InstantColumn } from '../../persistence/columns/instant.column.js';

/** A named budget of slots. */
@Entity('concurrency_limit')
@Unique('concurrency_limit_name_key', ['name'])
@Check('concurrency_limit_limit_check', '"limit" >= 0')
@Check('concurrency_limit_decay_check', 'slot_decay_per_second >= 0')
export class ConcurrencyLimitEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'concurrency_limit_pkey' })
  id!: string;

  @InstantColumn({ default: () => 'now()' })
  created!: Instant;

  @InstantColumn({ default: () => 'now()' })
  updated!: Instant;

  @Column('text')
  name!: string;

  @Column('integer')
  limit!: number;

  @Column('boolean', { default: true })
  active!: boolean;

  /** How many slots become free by themselves in a second; 0: they are free when whoever holds them lets go. */
  @Column('double precision', { default: 0 })
  slotDecayPerSecond!: number;

  /** How long slots are held, averaged over those of late. */
  @Column('double precision', { default: 2 })
  avgSlotOccupancySeconds!: number;

  @Column('double precision', {
    default: 0,
    comment:
      'Slots in use at counted_at of a limit whose slots decay: those are a matter of arithmetic and have no rows.',
  })
  decayingSlots!: number;

  /** Slots that somebody was refused and may ask for again, as of `countedAt`. */
  @Column('double precision', { default: 0 })
  deniedSlots!: number;

  @InstantColumn({ default: () => 'clock_timestamp()' })
  countedAt!: Instant;
}
