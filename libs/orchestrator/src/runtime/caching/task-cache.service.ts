import { createHash } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { cacheKey, type CacheMaterial, type CachePolicy } from '@nestor/core';
import { Transactions, type Tx } from '../../persistence/transactions.js';
import { TaskCacheRepository } from '../../records/task-cache/task-cache.repository.js';
import { pause } from '../engine/wait-until.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { PayloadNotFoundError } from '../payloads/payload-errors.js';
import { Payloads } from '../payloads/payloads.service.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { Journal } from '../transitions/journal.js';

/** Longer keys are hashed: an index entry holds no more than 2,700 bytes. */
const MAX_KEY_BYTES = 1_000;

/** Pauses between looks at a lock that somebody else holds. */
const FIRST_LOOK_MS = 5;
const LAST_LOOK_MS = 250;

/** What is remembered: its value, and the run that gave it. */
interface Remembered {
  readonly value: unknown;
  readonly taskRunId: string | null;
}

/** Outcomes that are remembered across runs, of this application. A database that is away is waited for. */
@Injectable()
export class TaskCache {
  constructor(
    private readonly cache: TaskCacheRepository,
    private readonly transactions: Transactions,
    private readonly journal: Journal,
    private readonly payloads: Payloads,
    private readonly process: ProcessLease,
    private readonly clock: DatabaseClock,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  /**
   * What an outcome is remembered under; `null` when it is not.
   *
   * @throws {UncacheableInputError} when an input that counts cannot be compared.
   */
  keyOf(policy: CachePolicy, material: CacheMaterial): string | null {
    const key = cacheKey(policy, material);
    return key === null ? null : storedKey(key);
  }

  /** What is remembered under a key; `null` when it is nothing, or cannot be had any more. */
  async find(key: string): Promise<Remembered | null> {
    const found = await this.single((tx) => this.cache.find(tx, this.settings.app, storedKey(key), this.clock.leadUs));
    if (!found) return null;
    try {
      return { value: await this.payloads.read(found.result), taskRunId: found.taskRunId };
    } catch (error) {
      // Large results are dropped with the week of the run that gave them: then it is made anew.
      if (error instanceof PayloadNotFoundError) return null;
      throw error;
    }
  }

  /**
   * Waits until the lock of a key is free, and takes it. Those of processes that are dead are free.
   *
   * @returns how to let go of it; `null` when `signal` fired before.
   */
  async lock(key: string, holderId: string, signal: AbortSignal): Promise<(() => Promise<void>) | null> {
    const { app } = this.settings;
    for (let pauseMs = FIRST_LOOK_MS; !signal.aborted; pauseMs = Math.min(pauseMs * 2, LAST_LOOK_MS)) {
      const holder = { processId: this.process.processId, holderId };
      if (await this.single((tx) => this.cache.lock(tx, app, key, holder))) {
        return () => this.single((tx) => this.cache.unlock(tx, app, key, holderId));
      }
      await pause(pauseMs, signal);
    }
    return null;
  }

  /** Remembers what a column of a run holds; durable when this resolves. */
  remember(key: string, result: string, taskRunId: string | null, expiresInMs: number | null): Promise<void> {
    const { app } = this.settings;
    const { leadUs } = this.clock;
    const outcome = { result, taskRunId };
    return this.single((tx) => this.cache.remember(tx, app, storedKey(key), outcome, expiresInMs, leadUs));
  }

  forget(key: string): Promise<void> {
    return this.single((tx) => this.cache.forget(tx, this.settings.app, storedKey(key)));
  }

  private single<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.journal.patiently(() => this.transactions.single(work));
  }
}

function storedKey(key: string): string {
  if (Buffer.byteLength(key) <= MAX_KEY_BYTES && !key.includes('\0')) return key;
  return `sha256:${createHash('sha256').update(key).digest('base64url')}`;
}
