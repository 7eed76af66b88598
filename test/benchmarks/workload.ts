import type { BenchServer } from './server.js';

interface WorkloadOptions {
  readonly n: number;
  /** How many task runs are there already; for the workload that asks for it. */
  readonly stored: number;
}

/** Medians of the rounds. */
export interface Figures {
  /** Items a second. */
  readonly perS: number;
  /** Rows a second that plain `pg` writes on the same server. */
  readonly limitPerS: number;
  /** `perS / limitPerS`, unless the workload compares itself with something else. */
  readonly ratio: number;
  /** What else the workload reports; the names are those of the result line. */
  readonly more: Readonly<Record<string, number>>;
}

export interface Workload {
  readonly name: string;
  /** What is measured, in a few words. */
  readonly about: string;
  readonly defaultN: number;
  measure(server: BenchServer, options: WorkloadOptions): Promise<Figures>;
}
