import { Module } from '@nestjs/common';
import { AuditReportWriter } from './audit-report.writer.js';
import { DependencyAudit } from './dependency-audit.flow.js';
import { LicenceClassifier } from './licence-classifier.js';
import { LockFileReader } from './lock-file.reader.js';
import { ManifestReader } from './manifest.reader.js';
import { PackageInspector } from './package.inspector.js';

@Module({
  providers: [DependencyAudit, LockFileReader, ManifestReader, LicenceClassifier, PackageInspector, AuditReportWriter],
  exports: [DependencyAudit],
})
export class DependencyAuditModule {}
