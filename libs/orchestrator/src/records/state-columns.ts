import { parseInstant, type Instant, type State, type StateDetails, type StateType } from '@nestor/core';
import { Column } from 'typeorm';
import { INSTANT_DETAILS } from './stored-state.js';

/** What rows of both histories have in common: one state that a run entered. */
export abstract class StateColumns {
  @Column('uuid')
  id!: string;

  @Column('text')
  type!: StateType;

  @Column('text')
  name!: string;

  @Column('text', { nullable: true })
  message!: string | null;

  @Column('jsonb', { default: () => "'{}'" })
  stateDetails!: StoredStateDetails;

  /** Where a foreign client keeps the result; native runs keep it in their own row. */
  @Column('jsonb', { nullable: true })
  data!: unknown;

  @Column('uuid', { nullable: true })
  resultArtifactId!: string | null;

  /** The state before this one. */
  @Column('uuid', { nullable: true })
  follows!: string | null;

  /** Whether the event of this state is in table `event`, because a foreign client sent it. */
  @Column('boolean', {
    default: false,
    comment: 'A foreign client reported this state as an event of its own, which is in table event.',
  })
  eventStored!: boolean;

  abstract timestamp: Instant;
}

/** State details as stored: instants are ISO text, which `jsonb` keeps to the microsecond. */
type StoredStateDetails = Omit<StateDetails, InstantDetail> & Readonly<Partial<Record<InstantDetail, string>>>;
type InstantDetail = (typeof INSTANT_DETAILS)[number];

/** What of a stored state is a state. */
export type StoredState = Pick<StateColumns, 'id' | 'type' | 'name' | 'message' | 'timestamp' | 'stateDetails'>;

/** The stored state as core knows it. */
export function stateOfRow(row: StoredState): State {
  const details: Record<string, unknown> = { ...row.stateDetails };
  for (const name of INSTANT_DETAILS) {
    const text = row.stateDetails[name];
    if (text !== undefined) details[name] = parseInstant(text);
  }
  return { id: row.id, type: row.type, name: row.name, message: row.message, timestamp: row.timestamp, details };
}
