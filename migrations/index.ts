import { RunsAndHistory1763769600000 } from './0001-runs-and-history.js';
import { LeasesAndReplay1763942400000 } from './0002-leases-and-replay.js';
import { Payloads1764028800000 } from './0003-payloads.js';
import { StandaloneTaskRuns1764115200000 } from './0004-standalone-task-runs.js';
import { TaskRunsUnchecked1764201600000 } from './0005-task-runs-unchecked.js';
import { BriefHistories1764288000000 } from './0006-brief-histories.js';
import { Objects1764374400000 } from './0007-objects.js';
import { RunInputs1764460800000 } from './0008-run-inputs.js';
import { BackgroundTasks1764547200000 } from './0009-background-tasks.js';
import { OwedHooks1764633600000 } from './0010-owed-hooks.js';
import { TaskCache1764720000000 } from './0011-task-cache.js';
import { RunKeys1764806400000 } from './0012-run-keys.js';
import { Deployments1764892800000 } from './0013-deployments.js';
import { WorkPools1764979200000 } from './0014-work-pools.js';
import { ConcurrencyLimits1765065600000 } from './0015-concurrency-limits.js';
import { Builds1765238400000 } from './0017-builds.js';
import { FairShares1765324800000 } from './0018-fair-shares.js';
import { Retention1765411200000 } from './0019-retention.js';
import { Infrastructure1765497600000 } from './0020-infrastructure.js';
import { NamedClaims1765584000000 } from './0021-named-claims.js';
import { PromptHandOvers1765670400000 } from './0022-prompt-hand-overs.js';
import { PromptClaims1765756800000 } from './0023-prompt-claims.js';
import { LeasesFromTheGrant1765843200000 } from './0024-leases-from-the-grant.js';

/** Every migration, oldest first. A list, not a glob: it works the same compiled, in tests and inside a bundle. */
export const migrations = [
  RunsAndHistory1763769600000,
  LeasesAndReplay1763942400000,
  Payloads1764028800000,
  StandaloneTaskRuns1764115200000,
  TaskRunsUnchecked1764201600000,
  BriefHistories1764288000000,
  Objects1764374400000,
  RunInputs1764460800000,
  BackgroundTasks1764547200000,
  OwedHooks1764633600000,
  TaskCache1764720000000,
  RunKeys1764806400000,
  Deployments1764892800000,
  WorkPools1764979200000,
  ConcurrencyLimits1765065600000,
  Builds1765238400000,
  FairShares1765324800000,
  Retention1765411200000,
  Infrastructure1765497600000,
  NamedClaims1765584000000,
  PromptHandOvers1765670400000,
  PromptClaims1765756800000,
  LeasesFromTheGrant1765843200000,
] as const;
