import type { MigrationInterface, QueryRunner } from 'typeorm';
import { eventFeed } from './0001-runs-and-history.js';

/**
 * The history of a task run that was called, ran once and succeeded is in its row: that has the three instants and the id of
 * the last state anyway, so the ids of the first two are all that is missing. Three rows and their index entries fewer are
 * most of what such a run takes. Whoever reads histories reads view `task_run_history`.
 */
export class BriefHistories1764288000000 implements MigrationInterface {
  name = 'BriefHistories1764288000000';

  async up(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(
      `alter table ${schema}.task_run add column pending_state_id uuid, add column running_state_id uuid`,
    );
    await runner.query(`
      comment on column ${schema}.task_run.pending_state_id is
        'Not null where the history is brief: Pending, Running and Completed, whose rows task_run_state does not have.'`);
    await runner.query(`
      create view ${schema}.task_run_history as
        select task_run_id, timestamp, id, type, name, message, state_details, data, result_artifact_id, follows, event_stored
          from ${schema}.task_run_state
        union all
        select r.id, s.timestamp, s.id, s.type, s.name, null, '{}', null, null, s.follows, false
          from ${schema}.task_run r
         cross join lateral (values ${briefStates('r')}) as s(timestamp, id, type, name, follows)
         where r.pending_state_id is not null`);

    // A run that moves on from there, because somebody sets its state, gets the rows it did without.
    await runner.query(`
      create function ${schema}.write_history_out() returns trigger language plpgsql as $$
      begin
        insert into ${schema}.task_run_state (task_run_id, timestamp, id, type, name, follows)
        select old.id, s.* from (values ${briefStates('old')}) as s;
        new.pending_state_id := null;
        new.running_state_id := null;
        return new;
      end $$`);
    await runner.query(`
      create trigger write_history_out before update on ${schema}.task_run for each row
        when (old.pending_state_id is not null and new.state_id is distinct from old.state_id)
        execute function ${schema}.write_history_out()`);
    await runner.query(eventFeed(schema, 'task_run_history'));
    await runner.query(`update ${schema}.schema_info set level = 6`);
  }

  async down(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`update ${schema}.schema_info set level = 5`);
    await runner.query(`drop trigger write_history_out on ${schema}.task_run`);
    await runner.query(`drop function ${schema}.write_history_out()`);
    await runner.query(`
      insert into ${schema}.task_run_state (task_run_id, timestamp, id, type, name, follows)
      select r.id, s.*
        from ${schema}.task_run r
       cross join lateral (values ${briefStates('r')}) as s
       where r.pending_state_id is not null`);
    await runner.query(eventFeed(schema));
    await runner.query(`drop view ${schema}.task_run_history`);
    await runner.query(`alter table ${schema}.task_run drop column running_state_id, drop column pending_state_id`);
  }
}

/** The states of a run whose history is brief: instant, id, type, name, and the id of the state before. */
const briefStates = (run: string): string => `
  (${run}.expected_start_time, ${run}.pending_state_id, 'PENDING', 'Pending', null::uuid),
  (${run}.start_time, ${run}.running_state_id, 'RUNNING', 'Running', ${run}.pending_state_id),
  (${run}.state_timestamp, ${run}.state_id, 'COMPLETED', 'Completed', ${run}.running_state_id)`;

function quotedSchema(runner: QueryRunner): string {
  const { schema } = runner.dataSource.options as { schema?: string };
  return `"${schema ?? 'nestor'}"`;
}
