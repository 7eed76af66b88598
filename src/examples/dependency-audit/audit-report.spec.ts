import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { auditReportMarkdown } from './audit-report.markdown.js';
import { summarise } from './audit-report.js';
import { AuditReportWriter } from './audit-report.writer.js';
import type { LicenceClass } from './licence-classes.js';
import type { PackageFacts } from './package.inspector.js';

function facts(name: string, changes: Partial<PackageFacts> = {}): PackageFacts {
  return {
    path: `node_modules/${name}`,
    name,
    version: '1.0.0',
    installedVersion: null,
    dev: false,
    optional: false,
    peer: false,
    licence: { expression: 'MIT', class: 'permissive' },
    node: { range: null, excluded: false },
    deprecated: null,
    ...changes,
  };
}

describe('summarise', () => {
  it('counts packages, names and licences', () => {
    const report = summarise([
      facts('a'),
      facts('a', { path: 'node_modules/b/node_modules/a' }),
      facts('b', { dev: true }),
      facts('c', { optional: true, licence: { expression: 'CC0-1.0', class: 'public-domain' } }),
    ]);
    expect(report.totals).toEqual({ packages: 4, names: 3, production: 3, development: 1, optional: 1 });
    expect(report.byClass).toMatchObject({ permissive: 3, 'public-domain': 1, unknown: 0 });
    expect(report.licences).toEqual([
      { expression: 'MIT', class: 'permissive', packages: 3 },
      { expression: 'CC0-1.0', class: 'public-domain', packages: 1 },
    ]);
    expect(report.findings).toEqual([]);
  });

  it.each<[LicenceClass, boolean, string | undefined]>([
    ['public-domain', false, undefined],
    ['permissive', false, undefined],
    ['weak-copyleft', false, 'low'],
    ['strong-copyleft', false, 'high'],
    ['strong-copyleft', true, 'low'],
    ['proprietary', false, 'high'],
    ['unknown', false, 'medium'],
    ['unknown', true, 'low'],
  ])('weighs a licence that is %s (development only: %s) as %s', (name, dev, severity) => {
    const report = summarise([facts('a', { dev, licence: { expression: 'X', class: name } })]);
    expect(report.findings[0]?.severity).toBe(severity);
  });

  it('finds ranges, versions on disk, deprecations and duplicates', () => {
    const { findings } = summarise([
      facts('a', { node: { range: '>=99', excluded: true } }),
      facts('b', { installedVersion: '1.0.1' }),
      facts('c', { deprecated: 'use d' }),
      facts('d', { version: '2.0.0' }),
      facts('d', { version: '1.0.0', path: 'node_modules/c/node_modules/d' }),
      facts('e', { licence: { expression: null, class: 'unknown' } }),
    ]);
    expect(findings.map(({ severity, kind, message }) => `${severity} ${kind}: ${message}`)).toEqual([
      'high engine: a 1.0.0 asks for Node >=99, which excludes the running one',
      'medium deprecated: c 1.0.0 is deprecated: use d',
      'medium licence: e 1.0.0 names no licence (unknown)',
      'medium version: b is 1.0.0 in the lock file but 1.0.1 on disk',
      'low duplicate: d is installed in 2 versions: 1.0.0, 2.0.0',
    ]);
    expect(findings.at(-1)?.paths).toEqual(['node_modules/c/node_modules/d', 'node_modules/d']);
  });

  it('does not depend on the order of the facts', () => {
    const all = ['x', 'b', 'a'].map((name) =>
      facts(name, { deprecated: 'old', licence: { expression: name, class: 'unknown' } }),
    );
    expect(summarise([...all].reverse())).toEqual(summarise(all));
  });
});

describe('auditReportMarkdown', () => {
  it('writes totals, licences and findings by severity', () => {
    const text = auditReportMarkdown(
      summarise([facts('a'), facts('b', { licence: { expression: 'GPL-3.0-only', class: 'strong-copyleft' } })]),
    );
    expect(text).toContain('2 packages are installed under 2 names: 2 for production');
    expect(text).toContain('| GPL-3.0-only | strong-copyleft | 1 |');
    expect(text).toContain(
      '### Decide before the next release (1)\n\n| Kind | Finding | Where |\n| --- | --- | --- |\n',
    );
    expect(text).toContain('| licence | b 1.0.0 has the licence "GPL-3.0-only" (strong-copyleft) | node_modules/b |');
    expect(text).not.toContain('Look into');
    expect(text.endsWith('|\n')).toBe(true);
  });

  it('says when there is nothing to look at', () => {
    expect(auditReportMarkdown(summarise([]))).toContain('Nothing to look at.');
  });

  it('lets no package add markup or rows', () => {
    const text = auditReportMarkdown(summarise([facts('a', { deprecated: 'x |\n| <img src=x> [y](z) `code`' })]));
    expect(text).toContain('deprecated: x \\| \\| \\<img src=x> \\[y\\](z) \\`code\\` |');
  });
});

describe('AuditReportWriter', () => {
  it('creates directories, replaces the file as a whole and leaves nothing else behind', async () => {
    const root = await mkdtemp(join(tmpdir(), 'audit-'));
    try {
      const file = join(root, 'reports', 'audit.md');
      const writer = new AuditReportWriter();
      await writer.write(summarise([facts('a'), facts('b')]), file);
      await writer.write(summarise([facts('a')]), file);
      expect(await readFile(file, 'utf8')).toBe(auditReportMarkdown(summarise([facts('a')])));
      expect(await readdir(join(root, 'reports'))).toEqual(['audit.md']);
    } finally {
      await rm(root, { recursive: true });
    }
  });
});
