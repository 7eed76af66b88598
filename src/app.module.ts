import { join } from 'node:path';
import { Module, type DynamicModule } from '@nestjs/common';
import { ApiModule } from '@nestor/api';
import { OrchestratorModule } from '@nestor/orchestrator';
import type { Settings } from './config/environment.js';
import { DependencyAuditModule } from './examples/dependency-audit/dependency-audit.module.js';

/** What is started for runs that get a process, or a thread, of their own. */
const APPLICATION = join(__dirname, 'run.application.js');

/** The bundled orchestrator: engine, API and the examples, in one process. */
@Module({})
export class AppModule {
  /** @param onlyServices whether it executes no waiting runs, and does nothing but services. */
  static with(settings: Settings, { onlyServices = false } = {}): DynamicModule {
    const { database, schema, app, buildId, secretKey, auth, host } = settings;
    const { drainMs, cancelGraceMs, cancellationTimeoutMs, pausesOnShutdown } = settings;
    const { maxStallMs, maxRecoveries, runHeartbeatMs, taskConcurrency } = settings;
    const { workPools, unqueued, workerLimit, runsOnce, killGraceMs } = settings;
    const worker = {
      ...{ pools: workPools, unqueued, limit: workerLimit, runOnce: runsOnce },
      ...{ killGrace: killGraceMs, application: APPLICATION },
    };
    const executesTasks = taskConcurrency > 0 && !onlyServices && !runsOnce;
    const { services, retention } = settings;
    return {
      module: AppModule,
      imports: [
        OrchestratorModule.forRoot({
          ...{ database, schema, app, maxRecoveries, services, retention },
          ...{ drain: drainMs, cancelGrace: cancelGraceMs, maxStall: maxStallMs, runHeartbeat: runHeartbeatMs },
          ...{ cancellationTimeout: cancellationTimeoutMs, pauseOnShutdown: pausesOnShutdown },
          backgroundTasks: executesTasks && { concurrency: taskConcurrency },
          worker: workerLimit === 0 || onlyServices ? false : worker,
          ...(buildId !== null && { buildId }),
          ...(secretKey !== null && { secretKey }),
        }),
        ApiModule.forRoot({ auth, allowedHosts: [host.toLowerCase()] }),
        DependencyAuditModule,
      ],
    };
  }
}
