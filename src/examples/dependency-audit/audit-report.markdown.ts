import { type AuditReport, type Finding, SEVERITIES, type Severity } from './audit-report.js';
import { LICENCE_CLASSES } from './licence-classes.js';

const TITLES: Readonly<Record<Severity, string>> = {
  high: 'Decide before the next release',
  medium: 'Look into',
  low: 'Good to know',
};

/** The report as a Markdown document. Texts of packages are escaped, so that none of them can add markup of its own. */
export function auditReportMarkdown({ totals, byClass, licences, findings }: AuditReport): string {
  const sections = [
    '# Dependency audit',
    `${totals.packages} packages are installed under ${totals.names} names: ${totals.production} for production, ` +
      `${totals.development} for development only, ${totals.optional} of them optional.`,
    '## Licences',
    table(
      ['Class', 'Packages'],
      LICENCE_CLASSES.map((name) => [name, String(byClass[name])]),
    ),
    table(
      ['Licence', 'Class', 'Packages'],
      licences.map((licence) => [licence.expression ?? '(none)', licence.class, String(licence.packages)]),
    ),
    '## Findings',
    ...(findings.length === 0
      ? ['Nothing to look at.']
      : SEVERITIES.flatMap((severity) => section(severity, findings))),
  ];
  return `${sections.join('\n\n')}\n`;
}

function section(severity: Severity, findings: readonly Finding[]): string[] {
  const mine = findings.filter((finding) => finding.severity === severity);
  if (mine.length === 0) return [];
  const rows = mine.map(({ kind, message, paths }) => [kind, message, paths.join(', ')]);
  return [`### ${TITLES[severity]} (${mine.length})`, table(['Kind', 'Finding', 'Where'], rows)];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(escape).join(' | ')} |`;
  return [line(head), `|${' --- |'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}

function escape(text: string): string {
  return text.replace(/\s+/g, ' ').replace(/[\\`*<[\]|&~]/g, '\\$&');
}
