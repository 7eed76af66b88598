import { FOREIGN_PAYLOADS, withPayloads, type ForeignPayload } from './payload-references.js';

/** What a statement of {@link removalOf} gives. */
export interface RemovedRuns {
  /** Those that are gone, the ones within others too. */
  readonly ids: readonly string[];
  readonly foreign: readonly ForeignPayload[];
}

interface Removal {
  /**
   * The common table expressions up to `outermost`, which locks the runs in the order of their ids and
   * gives its rows of `flow_run`.
   */
  readonly outermost: string;
  /** What notes that something of `runs`, as far as it has rows, is left to remove: task runs, log lines and artifacts. */
  readonly noted: string;
  /** A parameter: what the time is. */
  readonly now: string;
}

/**
 * Removes runs with all within them but task runs, log lines and artifacts, and notes in the same statement whose are left to
 * remove. Rides the primary keys, `flow_run_root_idx` and `run_key_flow_run_idx`.
 *
 * The key of a run that a schedule has made for a time to come stays behind it: the time was seen to, and whoever
 * makes the runs of the schedule anew, because somebody changes it, does not make that one again. The key goes
 * with the week of the run.
 */
export const removalOf = (schema: string, { outermost, noted, now }: Removal): string => {
  const ofTree = (column: string): string => `${column} = any(array(select id from tree))`;
  return `
    with ${outermost}, tree as materialized (
      select id from outermost
      union all
      select s.id from ${schema}.flow_run s
       where s.root_flow_run_id = any(array(select id from outermost)) and s.parent_task_run_id is not null
    ), keys as (
      delete from ${schema}.run_key
       where ${ofTree('flow_run_id')}
         and flow_run_id <> all(array(
           select id from outermost where auto_scheduled and expected_start_time > ${now}::timestamptz))
    ), hooks as (
      delete from ${schema}.owed_hooks where ${ofTree('run_id')} returning arguments
    ), drawn as (
      delete from ${schema}.run_value where ${ofTree('flow_run_id')} returning value
    ), inputs as (
      delete from ${schema}.flow_run_input where ${ofTree('flow_run_id')} returning value
    ), states as (
      delete from ${schema}.flow_run_state where ${ofTree('flow_run_id')}
    ), runs as (
      delete from ${schema}.flow_run where ${ofTree('id')} returning id, parameters, result
    ), noted as (${noted}), ${withPayloads(schema, [
      'select parameters::text from runs',
      'select result::text from runs',
      'select value::text from drawn',
      'select value from inputs',
      'select arguments::text from hooks',
    ])}
    select array(select id::text from runs) as ids, ${FOREIGN_PAYLOADS} as foreign`;
};
