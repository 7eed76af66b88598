import { setMaxListeners } from 'node:events';
import type { Logger } from '@nestjs/common';
import { isPassing } from '../../persistence/connection/postgres-errors.js';
import { pause } from '../engine/wait-until.js';
import { JournalClosedError } from './journal-closed.error.js';

/** Pauses between attempts while the database is away. */
const RETRY_FIRST_MS = 50;
const RETRY_LAST_MS = 2_000;

/** Waits for a database that is away, until it is told that nobody waits any longer. */
export class Patience {
  private readonly givingUp = newGivingUp();

  constructor(private readonly logger: Logger) {}

  /** Lets everything fail that still waits, and whatever finds the database away from now on. */
  giveUp(): void {
    this.givingUp.abort();
  }

  /**
   * Asks the database for something that may be asked twice, again and again while it is away.
   *
   * @throws {JournalClosedError} when nobody waits any longer.
   */
  async patiently<T>(work: () => Promise<T>): Promise<T> {
    const { signal } = this.givingUp;
    for (let pauseMs = RETRY_FIRST_MS; ; pauseMs = Math.min(pauseMs * 2, RETRY_LAST_MS)) {
      if (signal.aborted) throw new JournalClosedError();
      try {
        return await unlessAborted(work(), signal);
      } catch (error) {
        if (error instanceof JournalClosedError || !isPassing(error)) throw error;
        if (signal.aborted) throw new JournalClosedError({ cause: error });
        this.logger.warn(`The database is away (${String(error)}); trying again in ${pauseMs} ms.`);
        await pause(pauseMs, signal);
      }
    }
  }
}

/** As many as may wait for the database listen to it, which Node takes for a leak from the eleventh on. */
function newGivingUp(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

/** The outcome of `work`, but not longer than until `signal` fires: a server that lost its network never answers. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => reject(new JournalClosedError());
    signal.addEventListener('abort', giveUp);
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp));
  });
}
