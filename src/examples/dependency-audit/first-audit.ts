import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FlowRuns, Flows, type FlowRunHandle } from '@nestor/orchestrator';
import type { INestApplicationContext } from '@nestjs/common';
import type { AuditReport } from './audit-report.js';
import { DEPENDENCY_AUDIT, DependencyAudit } from './dependency-audit.flow.js';

/** Starts an audit of the project in the working directory; its report goes to `home`. */
export async function startAudit(app: INestApplicationContext, home: string): Promise<FlowRunHandle<AuditReport>> {
  await mkdir(home, { recursive: true });
  const params = { lockFile: 'package-lock.json', reportFile: join(home, 'dependency-audit.md') };
  return app.get(Flows).start(DependencyAudit, 'audit', [params]);
}

/** Starts an audit when there has been none yet and there is a lock file to audit; so there is something to look at. */
export async function startFirstAudit(
  app: INestApplicationContext,
  home: string,
): Promise<FlowRunHandle<AuditReport> | null> {
  const earlier = await app.get(FlowRuns).list({ flowName: DEPENDENCY_AUDIT, limit: 1 });
  if (earlier.length > 0) return null;
  const lockFile = await access('package-lock.json').then(
    () => true,
    () => false,
  );
  return lockFile ? startAudit(app, home) : null;
}
