import type { MigrationInterface, QueryRunner } from 'typeorm';

/** How far an epoch is from the one before it: always further than by all the other claims, a step each, that a run can see. */
const NEXT_EPOCH = 'r.lease_epoch + 1000 + floor(random() * 99000)::integer';

/**
 * A run that is taken by its id begins without having waited for the disk.
 *
 * Whatever the run writes is committed after its claim, and nothing of a commit survives a crash of the server without all
 * that was committed before it: so a claim that such a crash swallows, within the few milliseconds until the first state of the run is
 * flushed, is one under which nothing was written. The run waits as before, and whoever believed to have it finds out with
 * the first thing that it writes, which is refused. It must not find the same epoch in other hands then, so epochs that are given
 * out without a flush are no sequence: which one comes next is left to chance.
 */
export class PromptClaims1765756800000 implements MigrationInterface {
  name = 'PromptClaims1765756800000';

  async up(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    const unflushed = `perform set_config('synchronous_commit', 'off', true);`;
    await runner.query(claimNamed(schema, { nextEpoch: NEXT_EPOCH, unflushed }));
    await runner.query(`update ${schema}.schema_info set level = level + 1`);
  }

  async down(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`update ${schema}.schema_info set level = level - 1`);
    await runner.query(claimNamed(schema, { nextEpoch: 'r.lease_epoch + 1', unflushed: '' }));
  }
}

/** As in migration 0021. */
const claimNamed = (schema: string, { nextEpoch, unflushed }: { nextEpoch: string; unflushed: string }): string => `
  create or replace function ${schema}.claim_named(
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
    ${unflushed}
    return query
      update ${schema}.flow_run r
         set process_id = the_process, lease_epoch = ${nextEpoch}, updated = clock_timestamp(),
             pinned_build_id = case when r.run_count > 0 then r.pinned_build_id
                                    when r.flow_id = any(pinned_flow_ids) then the_build end
       where r.id = the_run
      returning r.*;
  end $$`;

function quotedSchema(runner: QueryRunner): string {
  const { schema } = runner.dataSource.options as { schema?: string };
  return `"${schema ?? 'nestor'}"`;
}
