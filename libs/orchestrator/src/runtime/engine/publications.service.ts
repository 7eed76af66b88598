import { Injectable } from '@nestjs/common';
import { derivedId, newId } from '../../persistence/ids.js';
import { Transactions, type Tx } from '../../persistence/transactions.js';
import { Payloads } from '../payloads/payloads.service.js';
import { Journal } from '../transitions/journal.js';
import { currentScope } from './run-scope.js';

/** On whose behalf something is published: as `currentRun()` has it. */
interface Publisher {
  readonly flowRunId: string | null;
  readonly taskRunId: string | null;
}

/**
 * What runs write besides their states. Code that runs again must not publish again what it did: as with calls, what is
 * published is recognised by where in the run it is, by what it says, and by how often that was said before.
 */
@Injectable()
export class Publications {
  constructor(
    private readonly transactions: Transactions,
    private readonly journal: Journal,
    private readonly payloads: Payloads,
  ) {}

  /**
   * Does what code of a run asks for, unless the attempt that asks is over: then nothing is written, and the promise is rejected
   * with {@link RunEndedError} and its like. Nobody has to await that: a forgotten call must not end the process.
   */
  unlessOver<T>(work: () => Promise<T>): Promise<T> {
    const attempt = currentScope()?.attempt;
    if (!attempt?.ended) return work();
    const refusal = Promise.reject<T>(attempt.endError);
    refusal.catch(() => undefined); // whoever awaits it hears of it
    return refusal;
  }

  /**
   * The id of what is published here: in a run that is resumed or tried again the same for the same, else a new one.
   *
   * @param kind tells it apart from what else is published.
   */
  idOf(kind: string, content: readonly unknown[]): string {
    const scope = currentScope();
    const { flowRunId, taskRunId } = this.publisher;
    const run = taskRunId ?? flowRunId;
    if (!scope || run === null) return newId();
    return derivedId(run, scope.branch.keyOf(`publish:${kind}`, content, this.payloads.classes));
  }

  /** Whether the code that asks is part of a run, which waits while the database is away. */
  get isWithinRun(): boolean {
    return currentScope() !== undefined;
  }

  /** The run around the code that asks; neither outside any run. */
  get publisher(): Publisher {
    const { flowRun = null, taskRun = null } = currentScope()?.place ?? {};
    return { flowRunId: flowRun?.created.id ?? null, taskRunId: taskRun?.created.id ?? null };
  }

  /** Writes something in one statement that may be made twice; within a run it waits while the database is away. */
  write<T>(statement: (tx: Tx) => Promise<T>): Promise<T> {
    return this.patientlyInRuns(() => this.transactions.single(statement));
  }

  /** Asks the database for something that may be asked twice; within a run it waits while the database is away. */
  patientlyInRuns<T>(work: () => Promise<T>): Promise<T> {
    return this.isWithinRun ? this.journal.patiently(work) : work();
  }
}
