import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** The run of a flow that has an idempotency key: whoever asks for another one with that key gets this one. */
@Entity('run_key', {
  comment: 'The run of a flow that has an idempotency key: whoever asks for another one with that key gets this one.',
})
@Index('run_key_flow_run_idx', ['flowRunId'])
export class RunKeyEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'run_key_pkey' })
  flowId!: string;

  @PrimaryColumn('text', { primaryKeyConstraintName: 'run_key_pkey' })
  key!: string;

  @Column('uuid')
  flowRunId!: string;
}
