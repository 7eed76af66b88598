import { Module, type DynamicModule } from '@nestjs/common';
import { ApiModule } from '@nestor/api';
import { OrchestratorModule } from '@nestor/orchestrator';
import type { Settings } from './config/environment.js';
import { orchestratorOptions } from './config/orchestrator-options.js';
import { DependencyAuditModule } from './examples/dependency-audit/dependency-audit.module.js';

/** The bundled orchestrator: engine, API and the examples, in one process. */
@Module({})
export class AppModule {
  /** @param only `onlyServices`: whether it executes no waiting runs, and does nothing but services. */
  static with(settings: Settings, only: { readonly onlyServices?: boolean } = {}): DynamicModule {
    const { auth, host } = settings;
    return {
      module: AppModule,
      imports: [
        OrchestratorModule.forRoot(orchestratorOptions(settings, only)),
        ApiModule.forRoot({ auth, allowedHosts: [host.toLowerCase()] }),
        DependencyAuditModule,
      ],
    };
  }
}
