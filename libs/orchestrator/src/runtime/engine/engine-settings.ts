/** What the engine is told by the module's options. */
export interface EngineSettings {
  readonly app: string;
  readonly buildId: string | null;
  /** How long a shutdown waits for runs to end by themselves. */
  readonly drainMs: number;
}

/** Injection token of the {@link EngineSettings}. */
export const ENGINE_SETTINGS = Symbol('nestor.engine-settings');
