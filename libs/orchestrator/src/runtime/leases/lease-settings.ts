import type { DeathRules } from '../../records/processes/process-death.js';

/** How often a process says that it is alive. */
export const HEARTBEAT_MS = 1_000;

/**
 * When others take it for dead: ten missed heartbeats, or one when its session is gone as well. The shorter one bounds how
 * long a killed process keeps its runs: with what comes after, less than three seconds. It is also how long bodies may begin
 * after a heartbeat (`LeaseProof`), so that one that takes up to a second holds nothing up.
 */
export const DEATH_RULES: DeathRules = { leaseMs: 10_000, hintMs: 2_000 };
