import { Injectable } from '@nestjs/common';
import { TaskCache } from './caching/task-cache.service.js';

/**
 * Looks up what tasks and transactions of this application remember under a key: the `resultKey` or `cacheKey` of a task, the
 * `key` of a transaction.
 *
 * @example `const report = await results.find<Report>('report-2026-11-25');`
 */
@Injectable()
export class Results {
  constructor(private readonly cache: TaskCache) {}

  /** What is remembered; `undefined` when nothing is, or when it has expired. */
  async find<Result = unknown>(key: string): Promise<Result | undefined> {
    const found = await this.cache.find(key);
    return found?.value as Result | undefined;
  }

  /** Forgets what is remembered: the next call runs. Nothing happens when nothing is. */
  forget(key: string): Promise<void> {
    return this.cache.forget(key);
  }
}
