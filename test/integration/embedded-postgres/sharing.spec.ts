import { readFileSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';

import { createCheckout } from './support/sandbox.js';
import { Scene, isAlive, postmasterPid, query, waitFor } from './support/scene.js';

describe('several processes with one embedded PostgreSQL', () => {
  const installation = new Scene();
  const scene = new Scene();
  let checkout: string;
  let home: string;
  beforeAll(() => (checkout = createCheckout(installation.directory())));
  afterAll(() => installation.end());
  beforeEach(() => (home = join(scene.directory(), 'pg')));
  afterEach(() => scene.end());

  it.each([2, 10])('%i that start at once on a fresh directory share one cluster and one server', async (count) => {
    const children = Array.from({ length: count }, () => scene.child(checkout));
    const opened = await Promise.all(children.map((child) => child.open(home)));
    const lines = opened.flatMap((one) => one.lines);
    const said = (beginning: string): number => lines.filter((line) => line.startsWith(beginning)).length;

    expect([said('creating'), said('started'), said('adopted')]).toEqual([1, 1, count - 1]);
    const starts = await Promise.all(
      children.map((child) => child.query('SELECT pg_postmaster_start_time()::text AS started_at')),
    );
    expect(new Set(starts.map((rows) => rows[0]?.started_at)).size).toBe(1);

    const pid = postmasterPid(home);
    const farewells = await Promise.all(children.map((child) => child.close()));
    expect(farewells.flat().filter((line) => line.startsWith('stopped'))).toHaveLength(1);
    expect(isAlive(pid)).toBe(false);
  });

  it('go one by one: the last one stops it', async () => {
    const [first, second] = [scene.child(checkout), scene.child(checkout)];
    await first.open(home);
    await second.open(home);
    const pid = postmasterPid(home);

    await first.close();
    expect(await first.end()).toBe(0);
    expect(await second.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await second.close();
    expect(isAlive(pid)).toBe(false);
  });

  it('outlives a killed one: the next adopts the server without a restart and stops it as its last user', async () => {
    const victim = scene.child(checkout);
    await victim.open(home);
    await victim.query('CREATE TABLE kept AS SELECT 1 AS id');
    const pid = postmasterPid(home);
    await victim.kill();
    expect(isAlive(pid)).toBe(true);

    const next = await scene.open(home);
    expect(postmasterPid(home)).toBe(pid);
    expect(scene.lines).toEqual([`adopted the running server (pid ${pid})`]);
    expect(await query(next.connection, 'SELECT id FROM kept')).toEqual([{ id: 1 }]);
    expect(readdirSync(join(home, 'users'))).toHaveLength(1);
    await next.close();
    expect(isAlive(pid)).toBe(false);
  });

  it('are told apart from later processes with the same pid', async () => {
    const victim = scene.child(checkout);
    await victim.open(home);
    const pid = postmasterPid(home);
    const server = await scene.open(home);
    await victim.kill();
    // As if the victim's pid were ours by now: the same pid, another start.
    const [name = ''] = readdirSync(join(home, 'users')).filter((file) => file.startsWith(`${victim.pid}.`));
    renameSync(join(home, 'users', name), join(home, 'users', name.replace(String(victim.pid), String(process.pid))));

    await server.close();
    expect(isAlive(pid)).toBe(false);
  });

  it('are not kept alive by it: a process that never closes still ends by itself', async () => {
    const careless = scene.child(checkout);
    await careless.open(home);
    expect(await careless.end()).toBe(0);
    expect(isAlive(postmasterPid(home))).toBe(true);
    await (await scene.open(home)).close();
  });

  it('cannot start it while one of them is killed half-way: its lock goes with it', async () => {
    const victim = scene.child(checkout);
    const opening = victim.open(home).catch(() => undefined);
    await waitFor(() => readdirSync(join(home, '..')).includes('pg') && readdirSync(home).length > 0);
    await victim.kill();
    await opening;
    const server = await scene.open(home);
    expect(await query(server.connection, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  if (process.platform === 'linux') {
    it('run it in a session of its own, out of reach of Ctrl-C', async () => {
      await scene.open(home);
      const pid = postmasterPid(home);
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const [, , processGroup, session] = stat
        .slice(stat.lastIndexOf(')') + 2)
        .split(' ')
        .map(Number);
      expect([processGroup, session]).toEqual([pid, pid]);
    });
  }
});
