import type { AuditReport, Finding } from '../examples/dependency-audit/audit-report.js';
import { auditSummary } from './audit-summary.js';

const report = {
  totals: { packages: 12, names: 10, production: 7, development: 5, optional: 1 },
  byClass: { permissive: 11, 'strong-copyleft': 0, unknown: 1 },
  licences: [],
  findings: [],
} as unknown as AuditReport;

const finding = (kind: string, severity: string, message: string) =>
  ({ kind, severity, message, paths: [] }) as unknown as Finding;

describe('the summary of an audit', () => {
  it('names the totals and the classes of licences that occur', () => {
    expect(auditSummary(report).trim().split('\n')).toEqual([
      '12 packages under 10 names: 7 production, 5 development.',
      'Licences: 11 permissive, 1 unknown.',
      'Findings: none.',
    ]);
  });

  it('counts findings by kind, and spells out only those that cannot wait', () => {
    const findings = [
      finding('duplicate', 'low', 'two versions of a'),
      finding('engine', 'high', 'b asks for Node >=99'),
      finding('duplicate', 'low', 'two versions of c'),
    ];
    expect(
      auditSummary({ ...report, findings })
        .trim()
        .split('\n')
        .slice(2),
    ).toEqual(['Findings: 2 duplicate, 1 engine.', '  ! b asks for Node >=99']);
  });
});
