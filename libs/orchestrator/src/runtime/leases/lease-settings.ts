import type { DeathRules } from '../../records/processes/process-death.js';

/**
 * How often a process says that it is alive. When its sessions are cut right before it would, it has what is
 * left of `hintMs` to make a new one and say so: 1.25 s, which on a machine that is busy starting others a
 * second was seen not to be.
 */
export const HEARTBEAT_MS = 750;

/**
 * When others take it for dead: a dozen missed heartbeats, or two when its session is gone as well. The shorter one bounds how
 * long a killed process keeps its runs: with what comes after, less than three seconds. It is also how long bodies may begin
 * after a heartbeat (`LeaseProof`), so that one that takes up to a second holds nothing up.
 */
export const DEATH_RULES: DeathRules = { leaseMs: 10_000, hintMs: 2_000 };
