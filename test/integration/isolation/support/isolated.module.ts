import { Module, type Type } from '@nestjs/common';
import { OrchestratorModule, type OrchestratorOptions } from '@nestor/orchestrator';
import { IsolatedFlows } from './isolated-flows.js';

/** What the application is told in the environment variable `ISOLATED`. */
export interface Order {
  readonly options: OrchestratorOptions;
  /** Whether it is to fail where it is started for a run. */
  readonly isBroken?: boolean;
}

/** The application, of which the worker and what it starts for runs are made alike. */
export default function application(): Type {
  const { options, isBroken } = JSON.parse(process.env.ISOLATED ?? '{}') as Order;
  if (isBroken && process.env.IS_WORKER !== 'yes') throw new Error('no settings for it');
  @Module({ imports: [OrchestratorModule.forRoot(options)], providers: [IsolatedFlows] })
  class Application {}
  return Application;
}
