import { testDatabase } from '../support/database.js';
import { sql } from '../support/sql.js';
import { waitFor } from '../support/wait-for.js';
import { ask } from './support/api.js';
import { PATIENCE_MS } from './support/app-process.js';
import { Scene } from './support/scene.js';

/** The bundled orchestrator, with what it does for all processes in a process of its own. */
describe('npm start -- services', () => {
  const scene = new Scene();
  afterEach(() => scene.end());

  it('does what a server that was told to do none of it leaves undone, and ends when it is told to [S25]', async () => {
    const database = await testDatabase();
    try {
      const env = { DATABASE_URL: database.url };
      const server = scene.start({ cwd: scene.directory(), env: { ...env, NESTOR_SERVICES: 'none' } });
      const api = await server.ready();
      const services = scene.start({
        cwd: scene.directory(),
        env: { ...env, NESTOR_SERVICES: 'lateRuns,sweeper' },
        args: ['services'],
      });
      await services.line(/Ready in \d+ ms: services lateRuns, sweeper\./);
      expect((await ask(`${api}/api/health`)).status).toBe(200);

      // A run that nobody has the flow of: whoever looks for late ones finds it.
      await sql(
        database,
        `with flow as (
           insert into nestor.flow (id, name) values (gen_random_uuid(), 'nobody has it') returning id
         ), run as (
           insert into nestor.flow_run
             (id, flow_id, root_flow_run_id, name, state_type, state_name, state_id, state_timestamp, expected_start_time,
              next_scheduled_start_time)
           select u.id, flow.id, u.id, 'orphan', 'SCHEDULED', 'Scheduled', gen_random_uuid(), now() - interval '1 minute',
                  now() - interval '1 minute', now() - interval '1 minute'
             from flow, (select gen_random_uuid() as id) as u
           returning id, state_id, state_timestamp
         )
         insert into nestor.flow_run_state (flow_run_id, timestamp, id, type, name)
         select id, state_timestamp, state_id, 'SCHEDULED', 'Scheduled' from run`,
      );
      await waitFor(
        async () => (await sql(database, `select from nestor.flow_run where state_name = 'Late'`)).length === 1,
        PATIENCE_MS,
      );
      expect(await services.stop()).toEqual({ code: 0, signal: null });
      expect(services.errors).toBe('');
      expect(await server.stop()).toEqual({ code: 0, signal: null });
    } finally {
      await database.drop();
    }
  }, 120_000);

  it('has something to do', async () => {
    const services = scene.start({ cwd: scene.directory(), env: { NESTOR_SERVICES: 'none' }, args: ['services'] });
    expect(await services.exit).toEqual({ code: 1, signal: null });
    expect(services.errors).toContain('ENVIRONMENT_INVALID: The environment is not usable: NESTOR_SERVICES is "none"');
  }, 60_000);
});
