import type { Provider } from '@nestjs/common';
import { ORCHESTRATOR_OPTIONS } from './orchestrator.module-definition.js';
import { resolveOptions, secretKeySettings, type OrchestratorOptions } from './orchestrator.options.js';
import { BACKGROUND_SETTINGS } from './runtime/background/background-settings.js';
import { ENGINE_SETTINGS, type EngineSettings } from './runtime/engine-settings.js';
import { isPassive } from './runtime/passive-start.js';
import { PAYLOAD_SETTINGS, payloadSettings } from './runtime/payloads/payload-options.js';
import { RETENTION_SETTINGS } from './runtime/retention/retention-settings.js';
import { SECRET_KEY_SETTINGS } from './runtime/secrets/secret-keys.service.js';
import { SERVICE_SETTINGS } from './runtime/services/service-settings.js';
import { WORKER_SETTINGS } from './runtime/workers/worker-settings.js';

/** What the rooms are told of the options, each its own part. */
export const settingsProviders: Provider[] = [
  fromOptions(ENGINE_SETTINGS, engineSettings),
  fromOptions(BACKGROUND_SETTINGS, (options) => (isPassive() ? null : resolveOptions(options).backgroundTasks)),
  fromOptions(WORKER_SETTINGS, (options) => (isPassive() ? null : resolveOptions(options).worker)),
  fromOptions(SERVICE_SETTINGS, (options) => resolveOptions(options).services),
  fromOptions(RETENTION_SETTINGS, (options) => resolveOptions(options).retention),
  fromOptions(PAYLOAD_SETTINGS, payloadSettings),
  fromOptions(SECRET_KEY_SETTINGS, secretKeySettings),
];

function fromOptions(provide: symbol, useFactory: (options: OrchestratorOptions) => unknown): Provider {
  return { provide, inject: [ORCHESTRATOR_OPTIONS], useFactory };
}

function engineSettings(options: OrchestratorOptions): EngineSettings {
  const { database: _, schema: __, ...settings } = resolveOptions(options);
  return settings;
}
