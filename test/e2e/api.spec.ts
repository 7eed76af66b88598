import { once } from 'node:events';
import { connect } from 'node:net';
import type { TestDatabase } from '@nestor/testing';
import { DatabaseProxy } from '../support/database-proxy.js';
import { testDatabase } from '../support/database.js';
import { sql } from '../support/sql.js';
import { waitFor } from '../support/wait-for.js';
import { ask, everyPage } from './support/api.js';
import { PATIENCE_MS, type AppProcess } from './support/app-process.js';
import { Scene } from './support/scene.js';

jest.setTimeout(PATIENCE_MS);

const NOBODY = '018f0000-0000-7000-8000-00000000dead';
const NOT_FOUND = { status: 404, body: { detail: 'Not Found' } };

describe('the API without a password', () => {
  const scene = new Scene();
  let database: TestDatabase;
  let app: AppProcess;
  let api: string;
  let port: string;
  beforeAll(async () => {
    database = await testDatabase();
    app = scene.start({ cwd: scene.directory(), env: { DATABASE_URL: database.url } });
    const url = await app.ready();
    ({ port } = new URL(url));
    api = `${url}/api`;
  });
  afterAll(async () => {
    await scene.end();
    await database.drop();
  });

  /** Ids that sort in the order of their numbers, as those of real runs sort by time. */
  const idOf = (number: number): string => `018f0000-0000-7000-8000-${String(number).padStart(12, '0')}`;

  describe('with 7 flow runs, the first of which has 5 task runs', () => {
    beforeAll(async () => {
      await sql(database, `insert into nestor.flow (id, name) values ($1, 'imported')`, [idOf(0)]);
      await sql(
        database,
        `insert into nestor.flow_run (id, flow_id, root_flow_run_id, name, state_type, state_name)
         select id, $1, id, 'run ' || number, 'COMPLETED', 'Completed'
           from unnest($2::uuid[]) with ordinality as run(id, number)`,
        [idOf(0), [1, 2, 3, 4, 5, 6, 7].map(idOf)],
      );
      await sql(
        database,
        `insert into nestor.task_run (id, flow_run_id, name, task_key, dynamic_key, state_type, state_name)
         select id, $1, 'task ' || number, 'imported.task', id, 'COMPLETED', 'Completed'
           from unnest($2::uuid[]) with ordinality as run(id, number)`,
        [idOf(1), [11, 12, 13, 14, 15].map(idOf)],
      );
    });
    afterAll(() => sql(database, 'truncate nestor.flow, nestor.flow_run, nestor.task_run'));

    it('lists the runs newest first, a page at a time, each exactly once', async () => {
      const { items, pages } = await everyPage(`${api}/flow_runs?limit=3`);
      expect(items.map((run) => run.name)).toEqual([7, 6, 5, 4, 3, 2, 1].map((number) => `run ${number}`));
      expect(pages).toBe(3);
    });

    it('a run that comes while one reads on does not move the pages', async () => {
      const first = (await ask(`${api}/flow_runs?limit=3`)).body;
      await sql(
        database,
        `insert into nestor.flow_run (id, flow_id, root_flow_run_id, name) values ($1, $2, $1, 'late')`,
        [idOf(8), idOf(0)],
      );
      const second = (await ask(`${api}/flow_runs?limit=3&cursor=${first.next}`)).body;
      expect(second.items.map((run: any) => run.name)).toEqual(['run 4', 'run 3', 'run 2']);
      await sql(database, 'delete from nestor.flow_run where id = $1', [idOf(8)]);
    });

    it('lists 50 at a time when nobody says how many, and the last page leads nowhere', async () => {
      const { body } = await ask(`${api}/flow_runs`);
      expect(body.items).toHaveLength(7);
      expect(body.next).toBeNull();
    });

    it('lists task runs oldest first, a page at a time, also when the last page is full', async () => {
      const { items } = await everyPage(`${api}/flow_runs/${idOf(1)}/task_runs?limit=2`);
      expect(items.map((task) => task.name)).toEqual([1, 2, 3, 4, 5].map((number) => `task ${number}`));
      const inOnePage = await everyPage(`${api}/flow_runs/${idOf(1)}/task_runs?limit=5`);
      expect(inOnePage.items).toEqual(items);
    });

    it('a run without task runs has none, which is no error', async () => {
      expect(await ask(`${api}/flow_runs/${idOf(2)}/task_runs`)).toMatchObject({
        status: 200,
        body: { items: [], next: null },
      });
    });

    it('finds an id however it is written', async () => {
      expect((await ask(`${api}/flow_runs/${idOf(7).toUpperCase()}`)).body.id).toBe(idOf(7));
    });

    it('answers an error nobody expected without its details, which are in the log', async () => {
      await sql(database, 'alter table nestor.flow_run rename column tags to somewhere');
      try {
        const answer = await ask(`${api}/flow_runs`);
        expect(answer).toMatchObject({ status: 500, body: { detail: 'Internal Server Error' } });
        expect(Object.keys(answer.body)).toEqual(['detail']);
        await waitFor(() => /ERROR \[ErrorFilter\] .*does not exist/.test(app.stderr));
      } finally {
        await sql(database, 'alter table nestor.flow_run rename column somewhere to tags');
      }
      expect((await ask(`${api}/flow_runs`)).status).toBe(200);
    });
  });

  describe('what cannot be meant', () => {
    it.each([
      ['limit=0', 'limit', 'min', 0],
      ['limit=-1', 'limit', 'min', -1],
      ['limit=1.5', 'limit', 'isInt', '1.5'],
      ['limit=many', 'limit', 'isInt', 'many'],
      ['limit=', 'limit', 'isInt', ''],
      ['limit=1&limit=2', 'limit', 'isInt', ['1', '2']],
      ['cursor=yesterday', 'cursor', 'isUuid', 'yesterday'],
      ["cursor=' or true", 'cursor', 'isUuid', "' or true"],
    ])('?%s is answered with 422, naming the parameter', async (query, parameter, type, input) => {
      for (const list of ['flow_runs', `flow_runs/${NOBODY}/task_runs`]) {
        const answer = await ask(`${api}/${list}?${encodeURI(query)}`);
        expect(answer.status).toBe(422);
        expect(answer.body).toEqual({
          exception_message: 'Invalid request received.',
          exception_detail: expect.arrayContaining([
            { type, loc: ['query', parameter], msg: expect.stringContaining(parameter), input },
          ]),
          request_body: null,
        });
      }
    });

    it.each(['201', '1000000', '99999999999999999999'])(
      'a page of %s is answered with 422, in one sentence',
      async (limit) => {
        for (const list of ['flow_runs', `flow_runs/${NOBODY}/task_runs`]) {
          expect(await ask(`${api}/${list}?limit=${limit}`)).toMatchObject({
            status: 422,
            body: { detail: 'Invalid limit: must be less than or equal to 200.' },
          });
        }
      },
    );

    it('200 are a page', async () => {
      expect((await ask(`${api}/flow_runs?limit=200`)).status).toBe(200);
    });

    it('parameters that nobody knows are ignored', async () => {
      expect((await ask(`${api}/flow_runs?colour=green&__proto__[limit]=1`)).status).toBe(200);
    });

    it('an id that nobody has is answered with 404', async () => {
      for (const path of [`flow_runs/${NOBODY}`, `flow_runs/${NOBODY}/task_runs`]) {
        const { status, body } = await ask(`${api}/${path}`);
        expect(status).toBe(404);
        expect(body).toEqual({ detail: expect.stringContaining(NOBODY), code: 'FLOW_RUN_NOT_FOUND' });
      }
    });

    it.each(['1', 'null', `${NOBODY}0`, NOBODY.replaceAll('-', ''), '%27', "';select 1", '%00', '..%2f..%2fhealth'])(
      'an id such as "%s", which is no UUID, is answered with 404',
      async (id) => {
        for (const path of [`flow_runs/${id}`, `flow_runs/${id}/task_runs`]) {
          expect(await ask(`${api}/${path.replaceAll(' ', '%20')}`)).toMatchObject(NOT_FOUND);
        }
      },
    );

    it.each(['', '/api', '/api/', '/api/nothing', '/health', '/api/flow_run', '/api/flow_runs/a/b/c', '/.env'])(
      'the path "%s", which nobody serves, is answered with 404',
      async (path) => {
        const answer = await ask(`http://127.0.0.1:${port}${path}`);
        expect(answer).toMatchObject(NOT_FOUND);
        expect(Object.keys(answer.body)).toEqual(['detail']);
      },
    );

    it('a path that is no URL, and a body that is no JSON, are the fault of who sent them', async () => {
      expect((await ask(`${api}/flow_runs/%zz`)).status).toBe(400);
      const headers = { 'content-type': 'application/json' };
      const posted = await ask(`${api}/flow_runs`, { method: 'POST', headers, body: '{"half' });
      expect([400, 404]).toContain(posted.status);
      expect(Object.keys(posted.body)).toEqual(['detail']);
      expect(app.stderr).not.toMatch(/SyntaxError|FastifyError/);
    });

    it('a method that a path does not have is answered with 404', async () => {
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
        expect(await ask(`${api}/flow_runs`, { method })).toMatchObject(NOT_FOUND);
      }
    });
  });

  describe('whom it answers', () => {
    it.each(['localhost', '127.0.0.1', '[::1]', 'LOCALHOST'])('requests addressed to %s', async (host) => {
      for (const name of [host, `${host}:${port}`]) {
        expect((await ask(`${api}/flow_runs`, { headers: { host: name } })).status).toBe(200);
      }
    });

    it.each([
      'evil.example',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      '169.254.169.254',
      'evil.example#localhost',
    ])('no requests addressed to %s: a page in a browser may have sent them there (DNS rebinding)', async (host) => {
      for (const name of [host, `${host}:${port}`]) {
        const { status, body } = await ask(`${api}/flow_runs`, { headers: { host: name } });
        expect(status).toBe(403);
        expect(body).toEqual({ detail: expect.stringContaining('set NESTOR_AUTH') });
      }
    });

    it('no requests that are addressed to nobody', async () => {
      const socket = connect(Number(port), '127.0.0.1');
      socket.end('GET /api/flow_runs HTTP/1.0\r\n\r\n');
      let text = '';
      socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      await once(socket, 'close');
      expect(text).toMatch(/^HTTP\/1\.1 403 /);
    });

    it('everybody who asks whether it lives: load balancers name no host', async () => {
      for (const path of ['health', 'ready']) {
        expect((await ask(`${api}/${path}`, { headers: { host: '10.0.0.7:4200' } })).status).toBe(200);
      }
    });
  });
});

describe('the API with a password', () => {
  const scene = new Scene();
  let database: TestDatabase;
  let app: AppProcess;
  let api: string;
  beforeAll(async () => {
    database = await testDatabase();
    const env = { DATABASE_URL: database.url, NESTOR_HOST: '0.0.0.0', NESTOR_AUTH: 'ops:pass:wörd-1' };
    app = scene.start({ cwd: scene.directory(), env });
    api = `http://127.0.0.1:${new URL(await app.ready()).port}/api`;
  });
  afterAll(async () => {
    await scene.end();
    await database.drop();
  });

  const basic = (credentials: string): string => `Basic ${Buffer.from(credentials).toString('base64')}`;

  it('lets in who knows it, whatever name the request is addressed to', async () => {
    for (const authorization of [basic('ops:pass:wörd-1'), basic('ops:pass:wörd-1').replace('Basic', 'basic')]) {
      const headers = { authorization, host: 'orchestrator.example' };
      expect((await ask(`${api}/flow_runs`, { headers })).status).toBe(200);
    }
  });

  it.each([
    ['no credentials', undefined],
    ['a wrong password', basic('ops:pass:wörd-2')],
    ['a wrong user', basic('root:pass:wörd-1')],
    ['only a part of it', basic('ops:pass')],
    ['nothing at all in base64', 'Basic '],
    ['what is not base64', 'Basic ops:pass:wörd-1'.replace('ö', '%')],
    ['another scheme', basic('ops:pass:wörd-1').replace('Basic', 'Bearer')],
  ])('asks for it when given %s', async (_, authorization) => {
    const answer = await ask(`${api}/flow_runs`, { headers: authorization === undefined ? {} : { authorization } });
    expect(answer).toMatchObject({ status: 401, body: { detail: 'Unauthorized' } });
    expect(answer.headers['www-authenticate']).toBe('Basic realm="nestor"');
  });

  it('does not ask whoever wants to know whether it lives', async () => {
    expect(await ask(`${api}/health`)).toMatchObject({ status: 200, body: true });
    expect(await ask(`${api}/ready`)).toMatchObject({ status: 200, body: { message: 'OK' } });
  });

  it('never prints it', () => {
    expect(app.stdout + app.stderr).not.toContain('wörd');
  });
});

describe('the API while its database is gone', () => {
  const scene = new Scene();
  afterAll(() => scene.end());

  it('lives, is not ready, tells nobody its secrets, and still ends in order', async () => {
    const database = await testDatabase();
    const proxy = await DatabaseProxy.start(database);
    const app = scene.start({ cwd: scene.directory(), env: { DATABASE_URL: proxy.url } });
    const api = `${await app.ready()}/api`;
    expect((await ask(`${api}/ready`)).status).toBe(200);
    proxy.cut();

    expect(await ask(`${api}/health`)).toMatchObject({ status: 200, body: true });
    const ready = await ask(`${api}/ready`);
    expect(ready).toMatchObject({ status: 503, body: { detail: 'The database does not answer.' } });
    expect(Object.keys(ready.body)).toEqual(['detail']);
    const list = await ask(`${api}/flow_runs`);
    expect(list).toMatchObject({ status: 503, body: { exception_message: 'Service Unavailable' } });
    expect(Object.keys(list.body)).toEqual(['exception_message']);
    expect(list.text).not.toMatch(/\bat |postgres|nestor_test/);

    expect(await app.stop()).toEqual({ code: 0, signal: null });
    await database.drop();
  });
});
