import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UnreadableManifestError } from './audit-errors.js';
import type { InstalledPackage } from './installed-package.js';
import { LicenceClassifier } from './licence-classifier.js';
import { LockFileReader } from './lock-file.reader.js';
import { ManifestReader } from './manifest.reader.js';
import { nodeRangeOf } from './node-range.js';
import { PackageInspector } from './package.inspector.js';

const inspector = new PackageInspector(new ManifestReader(), new LicenceClassifier());

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'audit-'));
});
afterAll(async () => {
  await rm(root, { recursive: true });
});

async function installed(manifest: unknown): Promise<InstalledPackage> {
  const file = join(root, 'package.json');
  await writeFile(file, typeof manifest === 'string' ? manifest : JSON.stringify(manifest));
  return {
    path: 'node_modules/sample',
    manifest: file,
    name: 'sample',
    version: '1.0.0',
    dev: false,
    optional: false,
    peer: false,
    deprecated: null,
  };
}

describe('PackageInspector', () => {
  it('knows every installed package of this project', async () => {
    const packages = await new LockFileReader().read('package-lock.json');
    const facts = await Promise.all(packages.map((each) => inspector.inspect(each)));
    expect(facts.filter(({ installedVersion }) => installedVersion !== null)).toEqual([]);
    const pg = facts.find(({ path }) => path === 'node_modules/pg');
    expect(pg).toMatchObject({ licence: { expression: 'MIT', class: 'permissive' }, node: { excluded: false } });
    expect(JSON.parse(JSON.stringify(pg))).toEqual(pg);
    expect(Math.max(...facts.map((each) => JSON.stringify(each).length))).toBeLessThan(1_000);
  });

  it('tells when another version is on disk than the lock file says', async () => {
    const sample = await installed({ version: '1.0.1' });
    expect((await inspector.inspect(sample)).installedVersion).toBe('1.0.1');
  });

  it('measures the range against the version it is asked about', async () => {
    const sample = await installed({ version: '1.0.0', engines: { node: '>=22' } });
    expect((await inspector.inspect(sample, '20.19.0')).node).toEqual({ range: '>=22', excluded: true });
    expect((await inspector.inspect(sample, '24.0.0')).node).toEqual({ range: '>=22', excluded: false });
  });

  it.each([
    ['no object', '[]', 'it is not a JSON object'],
    ['no JSON', '{"name":', 'JSON'],
    ['too large', JSON.stringify({ readme: 'x'.repeat(1024 * 1024) }), 'more than the 1048576 that are read'],
  ])('refuses a manifest that is %s', async (_, manifest, reason) => {
    const sample = await installed(manifest);
    const error: unknown = await inspector.inspect(sample).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UnreadableManifestError);
    expect((error as Error).message).toContain(reason);
  });

  it('refuses a package that is not there, and says how to install it', async () => {
    const sample = { ...(await installed({})), manifest: join(root, 'gone', 'package.json') };
    await expect(inspector.inspect(sample)).rejects.toThrow(/gone.*there is no such file; install.*npm ci/);
  });
});

describe('nodeRangeOf', () => {
  it.each<[unknown, string | null, boolean]>([
    [undefined, null, false],
    [{ npm: '>=9' }, null, false],
    [{ node: '>=18' }, '>=18', false],
    [{ node: '^18 || >=22' }, '^18 || >=22', true],
    [{ node: '' }, '', false],
    [{ node: 'the newest' }, 'the newest', false],
    [{ node: 20 }, null, false],
    [['node >= 0.8', 'rhino'], '>= 0.8', false],
    [['node < 5'], '< 5', true],
    ['node 20', null, false],
  ])('reads %j', (engines, range, excluded) => {
    expect(nodeRangeOf(engines, '20.19.1')).toEqual({ range, excluded });
  });
});
