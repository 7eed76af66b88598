import { Module, type DynamicModule } from '@nestjs/common';
import { ApiModule } from '@nestor/api';
import { OrchestratorModule } from '@nestor/orchestrator';
import type { Settings } from './config/environment.js';
import { DependencyAuditModule } from './examples/dependency-audit/dependency-audit.module.js';

/** The bundled orchestrator: engine, API and the examples, in one process. */
@Module({})
export class AppModule {
  static with(settings: Settings): DynamicModule {
    const { database, schema, app, buildId, secretKey, auth, host } = settings;
    const { drainMs, cancelGraceMs, maxStallMs, maxRecoveries, runHeartbeatMs, taskConcurrency } = settings;
    return {
      module: AppModule,
      imports: [
        OrchestratorModule.forRoot({
          ...{ database, schema, app, maxRecoveries },
          ...{ drain: drainMs, cancelGrace: cancelGraceMs, maxStall: maxStallMs, runHeartbeat: runHeartbeatMs },
          backgroundTasks: taskConcurrency === 0 ? false : { concurrency: taskConcurrency },
          ...(buildId !== null && { buildId }),
          ...(secretKey !== null && { secretKey }),
        }),
        ApiModule.forRoot({ auth, allowedHosts: [host.toLowerCase()] }),
        DependencyAuditModule,
      ],
    };
  }
}
