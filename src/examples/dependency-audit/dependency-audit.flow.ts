import { Injectable } from '@nestjs/common';
import { currentRun, Flow, mapTasks, Task } from '@nestor/orchestrator';
import { summarise, type AuditReport } from './audit-report.js';
import { AuditReportWriter } from './audit-report.writer.js';
import type { InstalledPackage } from './installed-package.js';
import { LockFileReader } from './lock-file.reader.js';
import { PackageInspector, type PackageFacts } from './package.inspector.js';

export const DEPENDENCY_AUDIT = 'dependency-audit';

interface AuditParams {
  /** The project's `package-lock.json`, with `node_modules` beside it. */
  readonly lockFile: string;
  /** The Markdown file to write; its directory has to exist. */
  readonly reportFile: string;
  /** How many packages are looked at at a time. Default 32. */
  readonly concurrency?: number;
}

/**
 * Reads a project's lock file and the manifest of every package that is installed, and reports on licences, duplicates
 * and packages that do not support the running Node.
 */
@Injectable()
export class DependencyAudit {
  constructor(
    private readonly lockFiles: LockFileReader,
    private readonly inspector: PackageInspector,
    private readonly reports: AuditReportWriter,
  ) {}

  @Flow({ name: DEPENDENCY_AUDIT, retries: 1, retryDelay: '1s', timeout: '10m' })
  async audit({ lockFile, reportFile, concurrency = 32 }: AuditParams): Promise<AuditReport> {
    const { logger } = currentRun();
    const packages = await this.readLockFile(lockFile);
    logger.log(`${packages.length} packages are installed according to ${lockFile}.`);

    const facts = await mapTasks(packages, (installed) => this.inspect(installed), { concurrency });
    const report = await this.summarise(facts);
    await this.writeReport(report, reportFile);

    logger.log(`${report.findings.length} findings; the report is in ${reportFile}.`);
    return report;
  }

  @Task()
  async readLockFile(lockFile: string): Promise<InstalledPackage[]> {
    return this.lockFiles.read(lockFile);
  }

  @Task({ retries: 2, retryDelay: ['100ms', '1s'], timeout: '10s' })
  async inspect(installed: InstalledPackage): Promise<PackageFacts> {
    return this.inspector.inspect(installed);
  }

  @Task()
  async summarise(facts: PackageFacts[]): Promise<AuditReport> {
    return Promise.resolve(summarise(facts));
  }

  @Task({ retries: 2, retryDelay: '1s' })
  async writeReport(report: AuditReport, reportFile: string): Promise<void> {
    await this.reports.write(report, reportFile);
  }
}
