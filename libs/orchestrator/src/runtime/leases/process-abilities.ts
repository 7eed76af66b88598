import { Inject, Injectable } from '@nestjs/common';
import type { ServedLanes } from '../../records/processes/process.entity.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { FlowRegistry } from '../registry/flow-registry.js';
import { WORKER_SETTINGS, type WorkerSettings } from '../workers/worker-settings.js';

/** What this process can execute, and what it takes: once its flows are registered. */
@Injectable()
export class ProcessAbilities {
  private isDone = false;

  constructor(
    private readonly registry: FlowRegistry,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
    @Inject(WORKER_SETTINGS) private readonly worker: WorkerSettings | null,
  ) {}

  /** Which code it is: the name that its build was given, else what tells its decorated methods apart. */
  get buildId(): string {
    return this.settings.buildId ?? this.registry.fingerprint;
  }

  /** The flows that its code has. */
  get flowIds(): readonly string[] {
    return this.registry.allFlowIds();
  }

  /** Those of them of which each run is only for the build that began it. */
  get pinnedFlowIds(): readonly string[] {
    const pinned = this.registry.flows().filter(({ pinToBuild }) => pinToBuild);
    return pinned.map(({ name }) => this.registry.flowId(name));
  }

  /** It has looked for runs for the last time. */
  takeNothingMore(): void {
    this.isDone = true;
  }

  /** Whether it takes waiting runs, or will once its flows are registered. */
  get takesRuns(): boolean {
    return this.serves.limit > 0;
  }

  /** Where it takes waiting runs from. */
  get serves(): ServedLanes {
    if (!this.worker || this.isDone) return { limit: 0, unqueued: false, pools: [] };
    const { limit, unqueued, pools } = this.worker;
    return {
      limit,
      unqueued,
      pools: pools.map(({ name, type, queueNames, limit: own }) => ({
        ...{ name, type, queueNames },
        limit: Math.min(own, limit),
      })),
    };
  }
}
