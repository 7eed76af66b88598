import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FlowRuns, Flows, StateType, type FlowRunHandle } from '@nestor/orchestrator';
import type { INestApplicationContext, Logger } from '@nestjs/common';
import type { AuditReport } from './audit-report.js';
import { DEPENDENCY_AUDIT, DependencyAudit } from './dependency-audit.flow.js';

/** An audit that was started, and where its report will be. */
interface StartedAudit {
  readonly run: FlowRunHandle<AuditReport>;
  readonly reportFile: string;
}

/** Starts an audit of the project in the working directory; its report goes to `home`. */
export async function startAudit(app: INestApplicationContext, home: string): Promise<StartedAudit> {
  await mkdir(home, { recursive: true });
  const reportFile = join(home, 'dependency-audit.md');
  const params = { lockFile: 'package-lock.json', reportFile };
  return { run: await app.get(Flows).start(DependencyAudit, 'audit', params), reportFile };
}

/** Starts an audit when there has been none yet and there is a lock file to audit; so there is something to look at. */
export async function startFirstAudit(app: INestApplicationContext, home: string): Promise<StartedAudit | null> {
  const earlier = await app.get(FlowRuns).list({ flowName: DEPENDENCY_AUDIT, limit: 1 });
  if (earlier.length > 0) return null;
  const lockFile = await access('package-lock.json').then(
    () => true,
    () => false,
  );
  return lockFile ? startAudit(app, home) : null;
}

/** Says how an audit ended as soon as it has, unless the process is to stop by then. Never rejects. */
export async function announceEnd(
  app: INestApplicationContext,
  { run, reportFile }: StartedAudit,
  logger: Logger,
  stop: AbortSignal,
): Promise<void> {
  try {
    await run.result().catch(() => undefined); // what it threw is in the message of its last state
    const { stateType, states } = await app.get(FlowRuns).get(run.id);
    if (stop.aborted) return;
    if (stateType === StateType.Completed) logger.log(`The first flow is COMPLETED; its report is in ${reportFile}`);
    else logger.warn(`The first flow is ${stateType}: ${states.at(-1)?.message}`);
  } catch (error) {
    if (!stop.aborted) logger.warn(`How the first flow ended could not be found out: ${String(error)}`);
  }
}
