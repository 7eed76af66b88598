import { Injectable } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import {
  ConcurrencyClaimsRepository,
  type HandedClaim,
} from '../../records/concurrency-limits/concurrency-claims.repository.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { Notifier } from '../notifications/notifier.service.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { SlotLine } from './slot-line.service.js';

/** Tells those who waited that they have their slots now: they find out by themselves, but later. */
@Injectable()
export class HandOver {
  /** Told of flow runs that have their slots. */
  onRuns: (flowRunIds: readonly string[]) => void = () => undefined;

  constructor(
    private readonly claims: ConcurrencyClaimsRepository,
    private readonly transactions: Transactions,
    private readonly line: SlotLine,
    private readonly process: ProcessLease,
    private readonly notifier: Notifier,
    private readonly clock: DatabaseClock,
  ) {}

  /** Ends claims; whoever waited for their slots is told. A second time changes nothing. */
  async release(claimIds: readonly string[]): Promise<void> {
    const [leadUs, processId] = [this.clock.leadUs, this.process.processId];
    const handed = await this.transactions.single((tx) => this.claims.release(tx, claimIds, { leadUs, processId }));
    this.tellHere(handed); // the other processes have been told at the commit
  }

  tell(handed: readonly HandedClaim[]): void {
    this.tellHere(handed);
    for (const { id, processId } of handed) {
      if (processId !== null && processId !== this.process.processId) {
        this.notifier.notifyProcess(processId, `slot:${id}`);
      }
    }
  }

  private tellHere(handed: readonly HandedClaim[]): void {
    const runs = handed.flatMap(({ processId, flowRunId }) =>
      processId === null && flowRunId !== null ? [flowRunId] : [],
    );
    if (runs.length > 0) this.onRuns(runs);
    for (const { id, processId } of handed) if (processId === this.process.processId) this.line.granted(id);
  }

  /** Limits were created, changed or removed. */
  limitsChanged(): void {
    this.notifier.notify('limits');
  }
}
