import { join } from 'node:path';
import type { OrchestratorOptions } from '@nestor/orchestrator';
import type { Settings } from './environment.js';

/** What is started for runs that get a process, or a thread, of their own. */
const APPLICATION = join(__dirname, '..', 'run.application.js');

/**
 * What the settings mean to the module.
 *
 * @param onlyServices whether it executes no waiting runs, and does nothing but services.
 */
export function orchestratorOptions(settings: Settings, { onlyServices = false } = {}): OrchestratorOptions {
  const { database, schema, app, buildId, secretKey } = settings;
  const { drainMs, cancelGraceMs, cancellationTimeoutMs, pausesOnShutdown } = settings;
  const { maxStallMs, maxRecoveries, runHeartbeatMs, taskConcurrency } = settings;
  const { workPools, unqueued, workerLimit, runsOnce, killGraceMs } = settings;
  const { services, retention } = settings;
  const worker = {
    ...{ pools: workPools, unqueued, limit: workerLimit, runOnce: runsOnce },
    ...{ killGrace: killGraceMs, application: APPLICATION },
  };
  const executesTasks = taskConcurrency > 0 && !onlyServices && !runsOnce;
  return {
    ...{ database, schema, app, maxRecoveries, services, retention },
    ...{ drain: drainMs, cancelGrace: cancelGraceMs, maxStall: maxStallMs, runHeartbeat: runHeartbeatMs },
    ...{ cancellationTimeout: cancellationTimeoutMs, pauseOnShutdown: pausesOnShutdown },
    backgroundTasks: executesTasks && { concurrency: taskConcurrency },
    worker: workerLimit === 0 || onlyServices ? false : worker,
    ...(buildId !== null && { buildId }),
    ...(secretKey !== null && { secretKey }),
  };
}
