import { join } from 'node:path';
import {
  aesPayloads,
  DirectoryPayloadStore,
  gzipPayloads,
  type OrchestratorOptions,
  type PayloadOptions,
} from '@nestor/orchestrator';
import type { Settings } from './environment.js';
import type { PayloadSettings } from './payload-variables.js';

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
  const { maxStallMs, maxRecoveries, runHeartbeatMs, taskConcurrency, tasks } = settings;
  const { workPools, unqueued, workerLimit, runsOnce, killGraceMs, prefetchMs, pendingTimeoutMs } = settings;
  const { services, retention, persistsResults, cache } = settings;
  const worker = {
    ...{ pools: workPools, unqueued, limit: workerLimit, runOnce: runsOnce },
    ...{ prefetch: prefetchMs, killGrace: killGraceMs, application: APPLICATION },
  };
  const executesTasks = taskConcurrency > 0 && !onlyServices && !runsOnce;
  return {
    ...{ database, schema, app, maxRecoveries, services, retention },
    ...{ drain: drainMs, cancelGrace: cancelGraceMs, maxStall: maxStallMs, runHeartbeat: runHeartbeatMs },
    ...{ cancellationTimeout: cancellationTimeoutMs, pauseOnShutdown: pausesOnShutdown },
    ...{ pendingTimeout: pendingTimeoutMs, persistResults: persistsResults, cache },
    payloads: payloadOptions(settings.payloads),
    backgroundTasks: executesTasks && { concurrency: taskConcurrency, ...(tasks !== null && { tasks }) },
    worker: workerLimit === 0 || onlyServices ? false : worker,
    ...(buildId !== null && { buildId }),
    ...(secretKey !== null && { secretKey }),
  };
}

/** What is encrypted cannot be compressed any more: that goes first. */
function payloadOptions({ inlineLimit, maxBytes, directory, isCompressed, key }: PayloadSettings): PayloadOptions {
  return {
    ...{ inlineLimit, maxBytes },
    ...(directory !== null && { store: new DirectoryPayloadStore({ directory }) }),
    codec: [...(isCompressed ? [gzipPayloads()] : []), ...(key !== null ? [aesPayloads(key)] : [])],
  };
}
