import type { LoadSettings } from './loads/load-settings.js';
import type { Sabotage } from './sabotage/sabotage.js';

/** What an engine process is started with. */
export interface EngineSettings {
  readonly url: string;
  /** Where what its bodies do is written down. */
  readonly witnessFile: string;
  /** Decides what its clients do. */
  readonly seed: number;
  readonly load: LoadSettings;
  readonly sabotage: Sabotage | null;
}

/** What the harness tells an engine process. */
export type Order =
  | { readonly kind: 'block'; readonly forMs: number }
  /** Start no more runs, and ask for nothing. */
  | { readonly kind: 'quiesce' }
  | { readonly kind: 'resume'; readonly flowRunIds: readonly string[] }
  | { readonly kind: 'stop' };

/** What an engine process tells the harness. */
export type News =
  | { readonly kind: 'ready' }
  /** The database refused that many writes, because another process may write the run by now. */
  | { readonly kind: 'refused'; readonly count: number };
