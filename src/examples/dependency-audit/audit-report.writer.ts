import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Injectable } from '@nestjs/common';
import { auditReportMarkdown } from './audit-report.markdown.js';
import type { AuditReport } from './audit-report.js';

/** Writes reports as Markdown files. */
@Injectable()
export class AuditReportWriter {
  /**
   * Replaces `file` as a whole, so that writing twice, or being stopped in between, never leaves half a report. Missing
   * directories are created.
   */
  async write(report: AuditReport, file: string): Promise<void> {
    await mkdir(dirname(file), { recursive: true });
    const draft = `${file}.${randomUUID()}.tmp`;
    try {
      await writeFile(draft, auditReportMarkdown(report));
      await rename(draft, file);
    } finally {
      await rm(draft, { force: true });
    }
  }
}
