import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { KernelLock } from '../../../libs/orchestrator/src/persistence/embedded-postgres/kernel-lock.js';
import { findProcesses } from '../../../libs/orchestrator/src/persistence/embedded-postgres/processes.js';
import { PreparedCluster } from './support/prepared-cluster.js';
import { createCheckout } from './support/sandbox.js';
import { NOBODY, Scene, asRoot, query } from './support/scene.js';

describe('what can go wrong', () => {
  const scene = new Scene();
  let prepared: PreparedCluster;
  beforeAll(async () => (prepared = await PreparedCluster.make()));
  afterAll(() => prepared.end());
  afterEach(() => scene.end());
  const newHome = (): string => join(scene.directory(), 'pg');

  it('a directory that may not be written to', async () => {
    const directory = scene.directory();
    chmodSync(directory, 0o555);
    const opening = asRoot
      ? scene.child(createCheckout(scene.directory()), NOBODY).open(join(directory, 'pg')) // root may write anywhere
      : scene.open(join(directory, 'pg'));
    await expect(opening).rejects.toMatchObject({
      code: 'EMBEDDED_POSTGRES_DIRECTORY_UNUSABLE',
      message: expect.stringMatching(/permission denied.*as uid \d+.*DATABASE_URL/) as string,
    });
  });

  it('a file where the directory should be', async () => {
    const home = newHome();
    writeFileSync(home, '');
    await expect(scene.open(home)).rejects.toMatchObject({ code: 'EMBEDDED_POSTGRES_DIRECTORY_UNUSABLE' });
    await expect(scene.open(join(home, 'below'))).rejects.toMatchObject({
      code: 'EMBEDDED_POSTGRES_DIRECTORY_UNUSABLE',
    });
  });

  it('data that is something else', async () => {
    const home = newHome();
    prepared.copyTo(home);
    rmSync(join(home, 'data/PG_VERSION'));
    await expect(scene.open(home)).rejects.toMatchObject({ code: 'EMBEDDED_POSTGRES_DIRECTORY_UNUSABLE' });
  });

  it('data with permissions that PostgreSQL refuses', async () => {
    const home = newHome();
    prepared.copyTo(home);
    chmodSync(join(home, 'data'), 0o755);
    await expect(scene.open(home)).rejects.toMatchObject({
      code: 'EMBEDDED_POSTGRES_DIRECTORY_UNUSABLE',
      message: expect.stringContaining('invalid permissions') as string,
    });
  });

  it('a cluster of another major version', async () => {
    const home = newHome();
    prepared.copyTo(home);
    writeFileSync(join(home, 'data/PG_VERSION'), '17\n');
    await expect(scene.open(home)).rejects.toMatchObject({
      code: 'EMBEDDED_POSTGRES_VERSION_MISMATCH',
      clusterVersion: '17',
      binariesVersion: '18',
      message: expect.stringMatching(/PostgreSQL 17.*PostgreSQL 18.*dump/) as string,
    });
  });

  it('a server that does not start: the message quotes its log', async () => {
    const home = newHome();
    prepared.copyTo(home);
    truncateSync(join(home, 'data/global/pg_control'));
    await expect(scene.open(home)).rejects.toMatchObject({
      code: 'EMBEDDED_POSTGRES_START_FAILED',
      message: expect.stringMatching(/server\.log[^]*Last lines[^]*pg_control/) as string,
    });
    expect(findProcesses((commandLine) => commandLine.includes(home))).toEqual([]);
  });

  it('a process that holds the lock and does not let go', async () => {
    const directory = scene.directory();
    const lock = await KernelLock.acquire(directory);
    await expect(KernelLock.acquire(directory, 50)).rejects.toMatchObject({ code: 'EMBEDDED_POSTGRES_BUSY' });
    const next = KernelLock.acquire(directory);
    await lock.release();
    await (await next).release();
  });

  if (asRoot) {
    // So can a user id without a name.
    it('a user without a name', async () => {
      const theirs = scene.directory();
      chownSync(theirs, 23_456, 23_456);
      const child = scene.child(createCheckout(scene.directory()), { uid: 23_456, gid: 23_456 });
      await expect(child.open(join(theirs, 'pg'))).rejects.toMatchObject({
        code: 'EMBEDDED_POSTGRES_UNKNOWN_USER',
        message: expect.stringMatching(/uid 23456.*\/etc\/passwd/) as string,
      });
    });

    // Ownership by somebody else can only be arranged by root.
    it.each([
      ['passwords of another user', NOBODY],
      ['data of another user', { uid: 23_456, gid: 23_456 }],
    ])('%s', async (_, user) => {
      const home = newHome();
      prepared.copyTo(home);
      const child = scene.child(createCheckout(scene.directory()), user);
      await expect(child.open(home)).rejects.toMatchObject({ code: 'EMBEDDED_POSTGRES_DIRECTORY_UNUSABLE' });
    });
  }

  // Mounting takes root, and a container's root may still not do it.
  const mount = (path: string, size: string): boolean =>
    spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=755`, 'tmpfs', path]).status === 0;
  const unmount = (path: string): void => void spawnSync('umount', ['-l', path]);
  const canMount = asRoot && process.platform === 'linux' && mountWorks();
  function mountWorks(): boolean {
    const probe = new Scene();
    const path = probe.directory();
    const works = mount(path, '1m');
    if (works) unmount(path);
    void probe.end();
    return works;
  }

  if (canMount) {
    it('a full disk while the cluster is made: nothing incomplete stays', async () => {
      const disk = scene.directory();
      mount(disk, '8m');
      try {
        await expect(scene.open(join(disk, 'pg'))).rejects.toMatchObject({
          code: 'EMBEDDED_POSTGRES_DISK_FULL',
          message: expect.stringContaining('free some space') as string,
        });
        expect(readdirSync(join(disk, 'pg')).filter((name) => name.startsWith('data'))).toEqual([]);
      } finally {
        unmount(disk);
      }
    });

    it('a full disk at a later start: data is safe, and it works again with space', async () => {
      const disk = scene.directory();
      mount(disk, '150m');
      try {
        const home = join(disk, 'pg');
        const first = await scene.open(home);
        await query(first.connection, 'CREATE TABLE kept AS SELECT 1 AS id');
        await first.close();
        const ballast = join(disk, 'ballast');
        const { bavail, bsize } = statfsSync(disk);
        writeFileSync(ballast, Buffer.alloc(bavail * bsize));
        await expect(scene.open(home)).rejects.toMatchObject({ code: 'EMBEDDED_POSTGRES_DISK_FULL' });

        truncateSync(ballast);
        const second = await scene.open(home);
        expect(await query(second.connection, 'SELECT id FROM kept')).toEqual([{ id: 1 }]);
        await second.close();
      } finally {
        unmount(disk);
      }
    });
  }
});

describe('a path that is too long for a Unix socket', () => {
  const scene = new Scene();
  afterEach(() => scene.end());

  it('leads to a loopback port, kept from start to start and given up when another program has it', async () => {
    const parent = join(scene.directory(), 'a-rather-long-name-of-a-directory'.repeat(3));
    mkdirSync(parent);
    const home = scene.adopt(join(parent, 'pg'));
    const first = await scene.open(home);
    const { host, port } = first.connection;
    expect(host).toBe('127.0.0.1');
    expect(await query(first.url, 'SHOW listen_addresses')).toEqual([{ listen_addresses: '127.0.0.1' }]);
    const second = await scene.open(home);
    expect(second.connection.port).toBe(port);
    await first.close();
    await second.close();

    const third = await scene.open(home);
    expect(third.connection.port).toBe(port);
    await third.close();

    const squatter = createServer((socket) => socket.resume().end('not PostgreSQL'));
    await new Promise<void>((listening) => squatter.listen(port, '127.0.0.1', listening));
    try {
      const moved = await scene.open(home);
      expect(moved.connection.port).not.toBe(port);
      expect(await query(moved.connection, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
      expect(Number(readFileSync(join(home, 'port'), 'utf8'))).toBe(moved.connection.port);
      await moved.close();
    } finally {
      await new Promise((closed) => squatter.close(closed));
    }
  });
});
