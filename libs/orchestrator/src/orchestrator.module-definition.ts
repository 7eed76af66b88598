import { ConfigurableModuleBuilder } from '@nestjs/common';
import type { OrchestratorExtras, OrchestratorOptions } from './orchestrator.options.js';

/** Injection token of the options as the host gave them. */
export const ORCHESTRATOR_OPTIONS = Symbol('nestor.options');

/** Gives the options to whoever injects them; a module of its own, because the data source needs them before ours exists. */
export const {
  ConfigurableModuleClass: OptionsModuleClass,
  OPTIONS_TYPE,
  ASYNC_OPTIONS_TYPE,
} = new ConfigurableModuleBuilder<OrchestratorOptions>({ optionsInjectionToken: ORCHESTRATOR_OPTIONS })
  .setClassMethodName('forRoot')
  .setExtras<OrchestratorExtras>({}, (definition) => ({ ...definition, exports: [ORCHESTRATOR_OPTIONS] }))
  .build();
