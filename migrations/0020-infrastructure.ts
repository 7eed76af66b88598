import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What was started for runs and goes on without the process that started it, so that somebody ends it when its run needs it no
 * more; which loops of a process are behind; and deployments that are paused because nobody serves them.
 */
export class Infrastructure1765497600000 implements MigrationInterface {
  name = 'Infrastructure1765497600000';

  async up(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`
      create table ${schema}.infrastructure (
        id             uuid        not null,
        created        timestamptz not null default clock_timestamp(),
        app            text        not null,
        flow_run_id    uuid        not null,
        lease_epoch    integer     not null,
        work_pool_name text,
        type           text        not null,
        identifier     text        not null,
        process_id     uuid,
        attempts       integer     not null default 0,
        due_at         timestamptz,
        error          text,
        dead_at        timestamptz,
        constraint infrastructure_pkey primary key (id),
        constraint infrastructure_run_key unique (flow_run_id, lease_epoch)
      )`);
    await runner.query(`
      comment on table ${schema}.infrastructure is
        'What was started for runs and outlives its worker, until it has ended: also the orders to end it.'`);
    await runner.query(`
      comment on column ${schema}.infrastructure.lease_epoch is
        'The epoch under which it was started. Its run needs it no more once that has ended, or has gone on beyond the next epoch.'`);
    await runner.query(`
      comment on column ${schema}.infrastructure.process_id is
        'The process of its worker, which ends it as long as that lives; null when that has lost sight of it.'`);
    await runner.query(`
      comment on column ${schema}.infrastructure.due_at is
        'Not to be tried to end before then: somebody is about it, or has failed. Null before the first attempt.'`);
    await runner.query(`
      comment on column ${schema}.infrastructure.dead_at is
        'Since when nobody tries to end it any more; null while somebody would.'`);
    await runner.query(`
      create index infrastructure_type_idx on ${schema}.infrastructure (app, type, id) where dead_at is null`);
    await runner.query(`
      create index infrastructure_dead_idx on ${schema}.infrastructure (app, id) where dead_at is not null`);

    await runner.query(`alter table ${schema}.process add column loops_behind jsonb`);
    await runner.query(`
      comment on column ${schema}.process.loops_behind is
        'Which of its loops have not done for too long what was due, and since when; null while all have.'`);
    await allowPausedReasons(runner, schema, `'asked', 'removed', 'away'`);
    await runner.query(`update ${schema}.schema_info set level = level + 1`);
  }

  async down(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`update ${schema}.schema_info set level = level - 1`);
    await runner.query(`update ${schema}.deployment set paused_reason = 'asked' where paused_reason = 'away'`);
    await allowPausedReasons(runner, schema, `'asked', 'removed'`);
    await runner.query(`alter table ${schema}.process drop column loops_behind`);
    await runner.query(`drop table ${schema}.infrastructure`);
  }
}

async function allowPausedReasons(runner: QueryRunner, schema: string, reasons: string): Promise<void> {
  const away = reasons.includes('away') ? ' away: nobody serves it; it goes on when somebody does.' : '';
  await runner.query(`alter table ${schema}.deployment drop constraint deployment_paused_reason_check`);
  await runner.query(`
    alter table ${schema}.deployment
      add constraint deployment_paused_reason_check check (paused_reason in (${reasons}))`);
  await runner.query(`
    comment on column ${schema}.deployment.paused_reason is
      'asked: somebody paused it; removed: it went out of the code, and goes on when it comes back.${away} Null while not paused.'`);
}

function quotedSchema(runner: QueryRunner): string {
  const { schema } = runner.dataSource.options as { schema?: string };
  return `"${schema ?? 'nestor'}"`;
}
