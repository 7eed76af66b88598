import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UnreadableLockFileError, UnsupportedLockFileError } from './audit-errors.js';
import { LockFileReader } from './lock-file.reader.js';

const reader = new LockFileReader();
let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'audit-'));
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

async function lockFile(content: unknown): Promise<string> {
  const file = join(root, 'package-lock.json');
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

async function install(path: string): Promise<void> {
  await mkdir(join(root, path), { recursive: true });
  await writeFile(join(root, path, 'package.json'), '{}');
}

describe('LockFileReader', () => {
  it('lists the packages of this project that are installed here', async () => {
    const packages = await reader.read('package-lock.json');
    expect(packages.length).toBeGreaterThan(500);
    expect(packages.find(({ path }) => path === 'node_modules/pg')).toMatchObject({
      manifest: join('node_modules', 'pg', 'package.json'),
      name: 'pg',
      dev: false,
      optional: false,
      deprecated: null,
    });
    expect(packages.find(({ path }) => path === 'node_modules/jest')).toMatchObject({ dev: true });
    expect(new Set(packages.map(({ path }) => path)).size).toBe(packages.length);
  });

  it('reads names, flags and paths, ordered by path', async () => {
    await install('node_modules/here');
    const file = await lockFile({
      lockfileVersion: 3,
      packages: {
        '': { name: 'the-project', version: '1.0.0' },
        'packages/workspace': { version: '1.0.0' },
        'node_modules/workspace': { resolved: 'packages/workspace', link: true },
        '../elsewhere/node_modules/far': { version: '1.0.0' },
        'node_modules/b': { version: '2.0.0', dev: true, deprecated: 'use c' },
        'node_modules/alias': { name: '@scope/real', version: '1.2.3', peer: true },
        'node_modules/b/node_modules/@scope/a': { version: '3.0.0' },
        'node_modules/here': { version: '1.0.0', devOptional: true },
        'node_modules/for-another-platform': { version: '1.0.0', optional: true },
        'node_modules/odd': { version: 7 },
        'node_modules/nothing': null,
      },
    });
    const flags = { dev: false, optional: false, peer: false, deprecated: null };
    expect(await reader.read(file)).toEqual(
      [
        { ...flags, path: 'node_modules/alias', name: '@scope/real', version: '1.2.3', peer: true },
        { ...flags, path: 'node_modules/b', name: 'b', version: '2.0.0', dev: true, deprecated: 'use c' },
        { ...flags, path: 'node_modules/b/node_modules/@scope/a', name: '@scope/a', version: '3.0.0' },
        { ...flags, path: 'node_modules/here', name: 'here', version: '1.0.0', optional: true },
        { ...flags, path: 'node_modules/odd', name: 'odd', version: 'unknown' },
      ].map((entry) => ({ ...entry, manifest: join(root, entry.path, 'package.json') })),
    );
  });

  it.each<[string, unknown, RegExp]>([
    ['is not JSON', '{', /JSON/],
    ['is no object', '[]', /not a JSON object/],
    ['lists no packages', { lockfileVersion: 3 }, /no "packages"/],
  ])('refuses a file that %s', async (_, content, reason) => {
    const file = await lockFile(content);
    const error: unknown = await reader.read(file).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UnreadableLockFileError);
    expect(error).toMatchObject({
      code: 'LOCK_FILE_UNREADABLE',
      file,
      message: expect.stringMatching(reason) as string,
    });
  });

  it('refuses a missing file and a directory by name', async () => {
    const missing = join(root, 'nowhere.json');
    await expect(reader.read(missing)).rejects.toThrow(
      `The lock file "${missing}" cannot be read: there is no such file; name a package-lock.json written by npm.`,
    );
    await expect(reader.read(root)).rejects.toThrow('it is not a file');
  });

  it.each([1, 2, 4, '3', undefined])(
    'refuses lockfileVersion %p and says how to write version 3',
    async (lockfileVersion) => {
      const file = await lockFile({ lockfileVersion, packages: {} });
      const error: unknown = await reader.read(file).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(UnsupportedLockFileError);
      expect(error).toMatchObject({ code: 'LOCK_FILE_VERSION_UNSUPPORTED', lockfileVersion });
      expect((error as Error).message).toContain('--lockfile-version 3');
    },
  );
});
