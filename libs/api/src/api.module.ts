import { Module, type DynamicModule } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_PIPE } from '@nestjs/core';
import { AccessGuard } from './access/access.guard.js';
import { ACCESS_SETTINGS, type AccessSettings } from './access/access.settings.js';
import { ErrorFilter } from './errors/error.filter.js';
import { ContractValidationPipe } from './errors/validation.pipe.js';
import { FlowRunsController } from './flow-runs/flow-runs.controller.js';
import { HealthController } from './health/health.controller.js';

/** The HTTP API of the bundled orchestrator, on every route of the application that imports it. */
@Module({})
export class ApiModule {
  static forRoot(access: AccessSettings): DynamicModule {
    return {
      module: ApiModule,
      controllers: [HealthController, FlowRunsController],
      providers: [
        { provide: ACCESS_SETTINGS, useValue: access },
        { provide: APP_GUARD, useClass: AccessGuard },
        { provide: APP_FILTER, useClass: ErrorFilter },
        { provide: APP_PIPE, useClass: ContractValidationPipe },
      ],
    };
  }
}
