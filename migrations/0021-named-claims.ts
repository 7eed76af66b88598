import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Runs are taken by their ids, at once, where they have just been created and nobody has to wait for them. */
export class NamedClaims1765584000000 implements MigrationInterface {
  name = 'NamedClaims1765584000000';

  async up(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    // The counterpart, for one run, of the statement that claims runs of no queue; where lines wait, it gives nothing either. A function,
    // because only what is planned for any id, and knows the id before it begins, opens no partition but that of the run.
    await runner.query(`
      create function ${schema}.claim_named(
        the_process uuid, the_app text, flow_ids uuid[], the_run uuid, lead_us bigint, the_build text, pinned_flow_ids uuid[]
      ) returns setof ${schema}.flow_run language plpgsql
        set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
      declare
        due_by timestamptz := statement_timestamp() + lead_us * interval '1 microsecond';
      begin
        perform from ${schema}.process p where p.id = the_process and p.fenced_at is null for key share;
        if not found
           or exists (select from ${schema}.fair_news n where n.app = the_app)
           or exists (select from ${schema}.fair_line l
                       where l.app = the_app and (l.wakes_at is null or l.wakes_at <= due_by)) then
          return;
        end if;
        perform from ${schema}.flow_run r
         where r.id = the_run and r.app = the_app and r.root_flow_run_id = r.id and r.flow_id = any(flow_ids)
           and r.state_type = 'SCHEDULED' and r.process_id is null and not r.awaits_turn and r.fair_line_id is null
           and r.work_queue_id is null and r.next_scheduled_start_time <= due_by
           and (r.pinned_build_id is null or r.pinned_build_id = the_build or r.run_count = 0)
           for no key update skip locked;
        if not found then
          return;
        end if;
        return query
          update ${schema}.flow_run r
             set process_id = the_process, lease_epoch = r.lease_epoch + 1, updated = clock_timestamp(),
                 pinned_build_id = case when r.run_count > 0 then r.pinned_build_id
                                        when r.flow_id = any(pinned_flow_ids) then the_build end
           where r.id = the_run
          returning r.*;
      end $$`);
    await runner.query(`update ${schema}.schema_info set level = level + 1`);
  }

  async down(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`update ${schema}.schema_info set level = level - 1`);
    await runner.query(`drop function ${schema}.claim_named`);
  }
}

function quotedSchema(runner: QueryRunner): string {
  const { schema } = runner.dataSource.options as { schema?: string };
  return `"${schema ?? 'nestor'}"`;
}
