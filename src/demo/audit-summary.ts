import type { AuditReport } from '../examples/dependency-audit/audit-report.js';

/** The report in a few lines. */
export function auditSummary({ totals, byClass, findings }: AuditReport): string {
  const classes = Object.entries(byClass)
    .filter(([, packages]) => packages > 0)
    .map(([name, packages]) => `${packages} ${name}`);
  const kinds = new Map<string, number>();
  for (const { kind } of findings) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  const severe = findings.filter(({ severity }) => severity === 'high');
  return [
    '',
    `${totals.packages} packages under ${totals.names} names: ${totals.production} production, ${totals.development} development.`,
    `Licences: ${classes.join(', ')}.`,
    `Findings: ${findings.length === 0 ? 'none' : [...kinds].map(([kind, count]) => `${count} ${kind}`).join(', ')}.`,
    ...severe.map(({ message }) => `  ! ${message}`),
    '',
  ].join('\n');
}
