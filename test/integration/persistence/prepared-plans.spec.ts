import { Flows } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import type { INestApplicationContext } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { ORCHESTRATOR_DATA_SOURCE } from '../../../libs/orchestrator/src/persistence/tokens.js';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { Stage } from '../../support/stage.js';

/** So many executions of a prepared statement PostgreSQL plans one by one, before it may keep a plan. */
const PLANNED_ANEW = 5;

describe('the plans of the statements that make and move runs', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;

  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url, providers: [Stage], poolSize: 1 });
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  /** Runs have been made in every way, so often that plans are kept. */
  const warmedUp = async (): Promise<{ stage: Stage; dataSource: DataSource }> => {
    const stage = app.get(Stage);
    stage.script = () => Promise.all([stage.act(), stage.act()]);
    for (let run = 0; run < 4 * PLANNED_ANEW; run += 1) {
      await stage.play();
      await (await app.get(Flows).enqueue(Stage, 'play')).result();
      const several = await app.get(Flows).enqueueAll(Stage, 'play', [[], []]);
      await Promise.all(several.map((one) => one.result()));
    }
    return { stage, dataSource: app.get<DataSource>(ORCHESTRATOR_DATA_SOURCE) };
  };

  it('are made once and kept, also where each has few rows', async () => {
    const { dataSource } = await warmedUp();
    const plans = await dataSource.query<{ name: string; executed: number; anew: number }[]>(
      `select regexp_replace(name, '_[0-9a-f]{12}$', '') as name, (custom_plans + generic_plans)::integer as executed,
                custom_plans::integer as anew
           from pg_prepared_statements where custom_plans + generic_plans > ${PLANNED_ANEW}`,
    );
    expect(plans.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        ...['create_lone_waiting_run', 'create_waiting_runs', 'claim_named_flow_run', 'claim_free_flow_runs'],
        ...['move_flow_runs', 'save_task_runs'],
      ]),
    );
    expect(plans.filter(({ anew }) => anew > PLANNED_ANEW)).toEqual([]);
  });

  it('read no table of runs as a whole, although they were made while it was empty', async () => {
    const { stage, dataSource } = await warmedUp();
    await stage.play();
    const statements = await dataSource.query<{ name: string; parameters: number }[]>(
      `select name, cardinality(parameter_types) as parameters from pg_prepared_statements`,
    );
    await dataSource.query(`set plan_cache_mode = force_generic_plan`);
    const readers: string[] = [];
    for (const { name, parameters } of statements) {
      const nulls = Array.from({ length: parameters }, () => 'null').join(', ');
      const plan = await dataSource.query<{ 'QUERY PLAN': string }[]>(
        `explain execute "${name}"${parameters > 0 ? `(${nulls})` : ''}`,
      );
      const whole = plan.filter((row) => /Seq Scan on (flow|task)_run/.test(row['QUERY PLAN']));
      readers.push(...whole.map((row) => `${name}: ${row['QUERY PLAN'].trim()}`));
    }
    expect(statements.length).toBeGreaterThan(10);
    expect(readers).toEqual([]);
  });
});
