import type { LiveFlowRun } from '../transitions/live-run.js';
import type { BaseWorker } from './base-worker.js';

/** Infrastructure on its way: what was started for a run, or is about to be. */
export class InfrastructureJob {
  /** How its worker calls it; `null` before it has a name. */
  identifier: string | null = null;
  configuration: Readonly<Record<string, unknown>> = {};
  /** It is ended because this process ends. */
  isLeft = false;
  readonly ended: Promise<void>;
  end: () => void = () => undefined;
  private isKilled = false;
  private readonly controller = new AbortController();

  constructor(
    readonly live: LiveFlowRun,
    readonly worker: BaseWorker,
  ) {
    this.ended = new Promise((resolve) => (this.end = resolve));
  }

  /** Fires when nobody waits for it any more. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /**
   * Ends it, once; what has no name yet is to be ended when it has one.
   *
   * @throws whatever keeps its worker from that, which may be asked again then.
   */
  async kill(graceMs: number): Promise<void> {
    this.controller.abort();
    if (this.identifier === null || this.isKilled) return;
    this.isKilled = true;
    try {
      await this.worker.kill(this.identifier, this.configuration, graceMs);
    } catch (error) {
      this.isKilled = false;
      throw error;
    }
  }
}
