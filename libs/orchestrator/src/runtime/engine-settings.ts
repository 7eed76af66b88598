/** What the engine is told by the module's options. */
export interface EngineSettings {
  readonly app: string;
  readonly buildId: string | null;
  /** How long a shutdown waits for runs to end by themselves. */
  readonly drainMs: number;
  /** How long a run that is cancelled may take to end by itself. */
  readonly cancelGraceMs: number;
  /** How long a run may be CANCELLING before it is cancelled, whether or not somebody has stopped it. */
  readonly cancellationTimeoutMs: number;
  /** Whether the deployments that this process serves alone pause when it shuts down. */
  readonly pausesOnShutdown: boolean;
  /** How long the event loop may be busy before other processes take the runs over. */
  readonly maxStallMs: number;
  /** How often a run is taken over from a dead process before it is given up. */
  readonly maxRecoveries: number;
  /** How long a run may have been submitted without beginning. */
  readonly pendingTimeoutMs: number;
  /** How often a flow run that is executed here says so in an event. */
  readonly runHeartbeatMs: number;
  /** Whether results are kept where neither task nor flow says so. */
  readonly persistResults: boolean;
  readonly cache: CacheSettings;
}

/** What holds for outcomes that are remembered across runs, where a task does not say otherwise. */
interface CacheSettings {
  /** Whether tasks run although their outcome is remembered. */
  readonly refresh: boolean;
  /** Whether nothing is remembered, nor looked for, whatever tasks say. */
  readonly isDisabled: boolean;
}

/** Injection token of the {@link EngineSettings}. */
export const ENGINE_SETTINGS = Symbol('nestor.engine-settings');
