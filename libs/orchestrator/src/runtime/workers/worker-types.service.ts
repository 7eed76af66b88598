import { OrchestratorError } from '@nestor/core';
import { Injectable } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { BaseWorker } from './base-worker.js';

/** The type of the workers that execute runs in this very process. */
export const NEST_TYPE = 'nest';

/** A pool is to be served by a type of worker that the application does not have. */
export class WorkerTypeUnknownError extends OrchestratorError {
  readonly code = 'WORKER_TYPE_UNKNOWN';

  constructor(
    readonly workPool: string,
    readonly workerType: string,
    known: readonly string[],
  ) {
    super(
      `Option "worker.pools" wants "${workPool}" served by workers of type "${workerType}", of which there is no class: list one ` +
        `that extends BaseWorker among the providers. There are: ${[NEST_TYPE, ...known].join(', ')}.`,
    );
  }
}

/** The types of workers that this application has besides its own processes: providers whose class extends {@link BaseWorker}. */
@Injectable()
export class WorkerTypes {
  constructor(private readonly discovery: DiscoveryService) {}

  /** @throws {WorkerTypeUnknownError} when there is none of that type. */
  get(type: string, pool: string): BaseWorker {
    const workers = this.discovery
      .getProviders()
      .map(({ instance }) => instance as unknown)
      .filter((instance) => instance instanceof BaseWorker);
    const worker = workers.find((one) => one.type === type);
    if (!worker) {
      throw new WorkerTypeUnknownError(
        pool,
        type,
        workers.map((one) => one.type),
      );
    }
    return worker;
  }
}
