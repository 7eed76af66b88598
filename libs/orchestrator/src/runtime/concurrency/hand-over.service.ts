import { Injectable } from '@nestjs/common';
import type { HandedClaim } from '../../records/concurrency-limits/concurrency-claims.repository.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { Notifier } from '../notifications/notifier.service.js';
import { SlotLine } from './slot-line.service.js';

/** Tells those who waited that they have their slots now: they find out by themselves, but later. */
@Injectable()
export class HandOver {
  /** Told of flow runs that have their slots. */
  onRuns: (flowRunIds: readonly string[]) => void = () => undefined;

  constructor(
    private readonly line: SlotLine,
    private readonly process: ProcessLease,
    private readonly notifier: Notifier,
  ) {}

  tell(handed: readonly HandedClaim[]): void {
    const runs = handed.flatMap(({ processId, flowRunId }) =>
      processId === null && flowRunId !== null ? [flowRunId] : [],
    );
    if (runs.length > 0) this.onRuns(runs);
    for (const { id, processId } of handed) {
      if (processId === this.process.processId) this.line.granted(id);
      else if (processId !== null) this.notifier.notify(`slot:${processId}:${id}`);
    }
  }

  /** Limits were created, changed or removed. */
  limitsChanged(): void {
    this.notifier.notify('limits');
  }
}
