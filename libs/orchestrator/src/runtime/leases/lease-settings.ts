import type { DeathRules } from '../../records/processes/process-death.js';

/** How often a process says that it is alive. */
export const HEARTBEAT_MS = 2_000;

/**
 * When others take it for dead: five missed heartbeats, or one and a half when its session is gone as well. The shorter
 * one bounds how long a killed process keeps its runs: less than three seconds.
 */
export const DEATH_RULES: DeathRules = { leaseMs: 10_000, hintMs: 2_500 };
