import { OrchestratorError } from '@nestor/core';

/** A work pool, or a queue of one, cannot be like that. Nothing was written. */
export class InvalidWorkPoolError extends OrchestratorError {
  readonly code = 'INVALID_WORK_POOL';

  constructor(
    readonly workPool: string,
    /** `null` when it is about the pool itself. */
    readonly workQueue: string | null,
    readonly problem: string,
  ) {
    super(
      workQueue === null
        ? `Work pool ${JSON.stringify(workPool)}: ${problem}.`
        : `Work queue ${JSON.stringify(workQueue)} of work pool "${workPool}": ${problem}.`,
    );
  }
}

/** There is a work pool of that name already. */
export class WorkPoolExistsError extends OrchestratorError {
  readonly code = 'WORK_POOL_EXISTS';

  constructor(readonly workPool: string) {
    super(`There is a work pool "${workPool}" already; it stays as it is. Change it with update().`);
  }
}

/** There is no work pool of that name. */
export class WorkPoolNotFoundError extends OrchestratorError {
  readonly code = 'WORK_POOL_NOT_FOUND';

  constructor(readonly workPool: string) {
    super(`There is no work pool "${workPool}"; create it, or start a process whose option "worker" names it.`);
  }
}

/** There is a queue of that name in the pool already. */
export class WorkQueueExistsError extends OrchestratorError {
  readonly code = 'WORK_QUEUE_EXISTS';

  constructor(
    readonly workPool: string,
    readonly workQueue: string,
  ) {
    super(
      `Work pool "${workPool}" has a queue "${workQueue}" already; it stays as it is. Change it with updateQueue().`,
    );
  }
}

/** There is no queue of that name in the pool. */
export class WorkQueueNotFoundError extends OrchestratorError {
  readonly code = 'WORK_QUEUE_NOT_FOUND';

  constructor(
    readonly workPool: string,
    readonly workQueue: string,
  ) {
    super(`Work pool "${workPool}" has no queue "${workQueue}".`);
  }
}

/** Every pool has a default queue: that is where runs go that name none. */
export class DefaultWorkQueueError extends OrchestratorError {
  readonly code = 'DEFAULT_WORK_QUEUE';

  constructor(readonly workPool: string) {
    super(`The queue "default" of work pool "${workPool}" cannot be removed; pause it, or remove the pool.`);
  }
}

/** Variables of a job do not fit the template of the pool it goes to. Nothing was written. */
export class InvalidJobVariablesError extends OrchestratorError {
  readonly code = 'INVALID_JOB_VARIABLES';

  constructor(
    readonly workPool: string,
    /** What is wrong, place by place. */
    readonly problems: readonly { readonly path: string; readonly problem: string }[],
  ) {
    const list = problems.map(({ path, problem }) => `${path === '' ? 'they' : `"${path}"`} ${problem}`).join('; ');
    super(`The job variables do not fit work pool "${workPool}": ${list}.`);
  }
}
