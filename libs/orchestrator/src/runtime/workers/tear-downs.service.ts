import { OrchestratorError, type Instant } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { isId } from '../../persistence/ids.js';
import { Transactions } from '../../persistence/transactions.js';
import { InfrastructureRepository } from '../../records/infrastructure/infrastructure.repository.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { Notifier } from '../notifications/notifier.service.js';
import { checkedId, checkedLimit } from '../queries.js';

/** Infrastructure that could not be ended. */
export interface DeadTearDown {
  readonly id: string;
  readonly flowRunId: string;
  /** The pool in which its run waited; `null` where that was gone already. */
  readonly workPool: string | null;
  /** The type of the worker that started it. */
  readonly type: string;
  /** How that worker calls it. */
  readonly identifier: string;
  /** How often it was tried. */
  readonly attempts: number;
  /** Why the last attempt failed. */
  readonly error: string | null;
  /** Since when nobody tries any more. */
  readonly since: Instant;
}

/** There is no such dead letter: it was never one, was tried again, discarded, or is of another application. */
export class TearDownNotFoundError extends OrchestratorError {
  readonly code = 'TEAR_DOWN_NOT_FOUND';

  constructor(readonly tearDownId: string) {
    super(`There is no infrastructure ${tearDownId} that could not be ended; list what there is with deadLetters().`);
  }
}

/**
 * Infrastructure whose run needs it no more, and which could not be ended: see `BaseWorker.kill`. What three attempts did
 * not end is left to people, who are told by the event `nestor.infrastructure.given-up`.
 */
@Injectable()
export class TearDowns {
  constructor(
    private readonly infrastructure: InfrastructureRepository,
    private readonly transactions: Transactions,
    private readonly notifier: Notifier,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  /**
   * A page of what could not be ended, newest first.
   *
   * @param page `limit` 1 to 200, default 50; `before` is the id of the last one of the page before.
   * @throws {InvalidQueryError} when `limit` or `before` cannot be meant.
   */
  async deadLetters({ limit = 50, before }: { readonly limit?: number; readonly before?: string } = {}): Promise<
    DeadTearDown[]
  > {
    const page = {
      limit: checkedLimit(limit),
      ...(before !== undefined && { before: checkedId(before, 'a tear-down') }),
    };
    const rows = await this.infrastructure.dead(this.settings.app, page);
    return rows.map(({ id, flowRunId, workPoolName, type, identifier, attempts, error, deadAt, created }) => ({
      ...{ id, flowRunId, workPool: workPoolName, type, identifier, attempts, error },
      since: deadAt ?? created,
    }));
  }

  /**
   * Has it tried again, three times more, by whoever serves its pool. Durable when this resolves.
   *
   * @throws {TearDownNotFoundError} when it is no dead letter of this application.
   */
  async retry(id: string): Promise<void> {
    const { app } = this.settings;
    const is = isId(id) && (await this.transactions.single((tx) => this.infrastructure.revive(tx, app, id)));
    if (!is) throw new TearDownNotFoundError(id);
    this.notifier.notify('tear-downs');
  }

  /**
   * Takes it off the list, because somebody has ended it by hand.
   *
   * @throws {TearDownNotFoundError} as for {@link retry}.
   */
  async discard(id: string): Promise<void> {
    const { app } = this.settings;
    const is = isId(id) && (await this.transactions.single((tx) => this.infrastructure.discard(tx, app, id)));
    if (!is) throw new TearDownNotFoundError(id);
  }
}
