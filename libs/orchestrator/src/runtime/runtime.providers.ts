import { Artifacts } from './artifacts/artifacts.service.js';
import { backgroundProviders } from './background/background.providers.js';
import { Blocks } from './blocks/blocks.service.js';
import { BorrowedTransactions } from './borrowed-transactions/borrowed-transactions.service.js';
import { TaskCache } from './caching/task-cache.service.js';
import { concurrencyProviders } from './concurrency/concurrency.providers.js';
import { controlProviders } from './control/control.providers.js';
import { deploymentsProviders } from './deployments/deployments.providers.js';
import { RunDiagnoses } from './diagnosis/run-diagnoses.service.js';
import { engineProviders } from './engine/engine.providers.js';
import { EventWriter } from './events/event-writer.service.js';
import { Events } from './events/events.service.js';
import { FlowRuns } from './flow-runs.service.js';
import { Flows } from './flows.service.js';
import { hooksProviders } from './hooks/hooks.providers.js';
import { inputsProviders } from './inputs/inputs.providers.js';
import { leasesProviders } from './leases/leases.providers.js';
import { maintenanceProviders } from './maintenance/maintenance.providers.js';
import { nestProviders } from './nest/nest.providers.js';
import { Loops } from './loops/loops.service.js';
import { SharedLooks } from './loops/shared-looks.service.js';
import { Notifier } from './notifications/notifier.service.js';
import { payloadsProviders } from './payloads/payloads.providers.js';
import { Readiness } from './readiness.service.js';
import { recoveryProviders } from './recovery/recovery.providers.js';
import { References } from './references/references.service.js';
import { RunParameters } from './references/run-parameters.service.js';
import { FlowRegistry } from './registry/flow-registry.js';
import { rehearsalProviders } from './rehearsal/rehearsal.providers.js';
import { Replays } from './replay/replays.service.js';
import { Results } from './results.service.js';
import { retentionProviders } from './retention/retention.providers.js';
import { schedulerProviders } from './scheduler/scheduler.providers.js';
import { schedulingProviders } from './scheduling/scheduling.providers.js';
import { SecretKeys } from './secrets/secret-keys.service.js';
import { Shutdown } from './shutdown.service.js';
import { transactionalProviders } from './transactional/transactional.providers.js';
import { transitionsProviders } from './transitions/transitions.providers.js';
import { Variables } from './variables/variables.service.js';
import { workPoolsProviders } from './work-pools/work-pools.providers.js';
import { workersProviders } from './workers/workers.providers.js';

/** Everything that moves, room by room. */
export const runtimeProviders = [
  ...transitionsProviders,
  ...leasesProviders,
  Notifier,
  SharedLooks,
  Loops,
  ...payloadsProviders,
  TaskCache,
  ...hooksProviders,
  Replays,
  References,
  RunParameters,
  ...rehearsalProviders,
  FlowRegistry,
  ...inputsProviders,
  BorrowedTransactions,
  ...concurrencyProviders,
  ...transactionalProviders,
  ...engineProviders,
  ...recoveryProviders,
  ...schedulingProviders,
  ...deploymentsProviders,
  ...schedulerProviders,
  ...backgroundProviders,
  ...controlProviders,
  ...nestProviders,
  ...maintenanceProviders,
  ...retentionProviders,
  RunDiagnoses,
  SecretKeys,
  Artifacts,
  Variables,
  Blocks,
  EventWriter,
  Events,
  ...workPoolsProviders,
  ...workersProviders,
  Shutdown,
  Flows,
  FlowRuns,
  Results,
  Readiness,
];
