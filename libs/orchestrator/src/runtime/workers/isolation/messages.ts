import type { HandedLease } from '../base-worker.js';

/** What a run is executed with, away from its worker. */
export interface BeginOrder {
  readonly kind: 'begin';
  /** The file of the application: see `applicationModule`. */
  readonly application: string;
  readonly lease: HandedLease;
  /** The working directory while the run is executed; `null`: that of the worker. */
  readonly directory: string | null;
  /** Whether that directory is to be gone when the process is. */
  readonly isTemporary: boolean;
}

/** What a worker tells the process, or the thread, that it started for a run. */
export type HostOrder = BeginOrder | { readonly kind: 'stop' };

export type LineLevel = 'verbose' | 'debug' | 'log' | 'warn' | 'error' | 'fatal';

/** What it hears from there. */
export type RunNews =
  /** A line for Nest's logger. */
  | { readonly kind: 'logged'; readonly level: LineLevel; readonly context: string; readonly text: string }
  /** The run cannot be executed there, and why. */
  | { readonly kind: 'failed'; readonly message: string };
