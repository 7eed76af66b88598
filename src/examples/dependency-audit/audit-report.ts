import { LICENCE_CLASSES, type LicenceClass } from './licence-classes.js';
import type { PackageFacts } from './package.inspector.js';

export const SEVERITIES = ['high', 'medium', 'low'] as const;
/** `high`: decide before the next release; `medium`: look into it; `low`: good to know. */
export type Severity = (typeof SEVERITIES)[number];

type FindingKind = 'licence' | 'engine' | 'version' | 'deprecated' | 'duplicate';

/** Something a person should look at. */
export interface Finding {
  readonly kind: FindingKind;
  readonly severity: Severity;
  readonly package: string;
  readonly message: string;
  /** Where the package is installed. */
  readonly paths: readonly string[];
}

/** How many packages name a licence. */
interface LicenceCount {
  /** `null`: they name none. */
  readonly expression: string | null;
  readonly class: LicenceClass;
  readonly packages: number;
}

/** The outcome of an audit. The same facts make the same report, in any order. */
export interface AuditReport {
  readonly totals: {
    /** Installed packages; the same name and version at two paths counts twice. */
    readonly packages: number;
    /** Different names. */
    readonly names: number;
    readonly production: number;
    readonly development: number;
    readonly optional: number;
  };
  readonly byClass: Readonly<Record<LicenceClass, number>>;
  /** Most frequent first. */
  readonly licences: readonly LicenceCount[];
  /** Most severe first, then by name. */
  readonly findings: readonly Finding[];
}

/** Sums up what was found out about every package. No facts make an empty report. */
export function summarise(facts: readonly PackageFacts[]): AuditReport {
  const sorted = [...facts].sort((a, b) => compare(a.path, b.path));
  const development = sorted.filter(({ dev }) => dev).length;
  return {
    totals: {
      packages: sorted.length,
      names: new Set(sorted.map(({ name }) => name)).size,
      production: sorted.length - development,
      development,
      optional: sorted.filter(({ optional }) => optional).length,
    },
    byClass: countByClass(sorted),
    licences: countLicences(sorted),
    findings: [...sorted.flatMap(findingsOf), ...duplicatesAmong(sorted)].sort(bySeverity),
  };
}

function countByClass(facts: readonly PackageFacts[]): Record<LicenceClass, number> {
  const counts = Object.fromEntries(LICENCE_CLASSES.map((name) => [name, 0])) as Record<LicenceClass, number>;
  for (const { licence } of facts) counts[licence.class]++;
  return counts;
}

function countLicences(facts: readonly PackageFacts[]): LicenceCount[] {
  const counts = new Map<string | null, LicenceCount>();
  for (const { licence } of facts) {
    const packages = (counts.get(licence.expression)?.packages ?? 0) + 1;
    counts.set(licence.expression, { expression: licence.expression, class: licence.class, packages });
  }
  return [...counts.values()].sort(
    (a, b) => b.packages - a.packages || compare(a.expression ?? '', b.expression ?? ''),
  );
}

function findingsOf(facts: PackageFacts): Finding[] {
  const { name, version, licence, node, dev } = facts;
  const findings: Finding[] = [];
  const add = (kind: FindingKind, severity: Severity, message: string) =>
    findings.push({ kind, severity, package: name, message, paths: [facts.path] });

  const licenceSeverity = severityOfLicence(licence.class, dev);
  if (licenceSeverity) {
    const text = licence.expression === null ? 'names no licence' : `has the licence "${licence.expression}"`;
    add('licence', licenceSeverity, `${name} ${version} ${text} (${licence.class})`);
  }
  if (node.excluded) {
    add(
      'engine',
      dev ? 'low' : 'high',
      `${name} ${version} asks for Node ${node.range}, which excludes the running one`,
    );
  }
  if (facts.installedVersion !== null) {
    add('version', 'medium', `${name} is ${version} in the lock file but ${facts.installedVersion} on disk`);
  }
  if (facts.deprecated !== null) {
    add('deprecated', dev ? 'low' : 'medium', `${name} ${version} is deprecated: ${facts.deprecated}`);
  }
  return findings;
}

/** What only builds the product does not reach its users, so its licence weighs less. */
function severityOfLicence(licence: LicenceClass, dev: boolean): Severity | null {
  switch (licence) {
    case 'public-domain':
    case 'permissive':
      return null;
    case 'weak-copyleft':
      return 'low';
    case 'strong-copyleft':
    case 'proprietary':
      return dev ? 'low' : 'high';
    case 'unknown':
      return dev ? 'low' : 'medium';
  }
}

function duplicatesAmong(facts: readonly PackageFacts[]): Finding[] {
  const byName = new Map<string, PackageFacts[]>();
  for (const each of facts) byName.set(each.name, [...(byName.get(each.name) ?? []), each]);
  return [...byName].flatMap(([name, copies]): Finding[] => {
    const versions = [...new Set(copies.map(({ version }) => version))].sort(compare);
    if (versions.length === 1) return [];
    const message = `${name} is installed in ${versions.length} versions: ${versions.join(', ')}`;
    return [{ kind: 'duplicate', severity: 'low', package: name, message, paths: copies.map(({ path }) => path) }];
  });
}

function bySeverity(a: Finding, b: Finding): number {
  return (
    SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) ||
    compare(a.kind, b.kind) ||
    compare(a.package, b.package) ||
    compare(a.paths[0] ?? '', b.paths[0] ?? '')
  );
}

/** By code unit: the same everywhere, whatever the locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
