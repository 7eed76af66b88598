import { Injectable } from '@nestjs/common';
import { ProcessLease } from '../leases/process-lease.service.js';
import { Notifier } from '../notifications/notifier.service.js';
import { whenTold } from '../notifications/when-told.js';
import { DatabaseClock } from '../transitions/database-clock.js';

/** Tells whoever makes runs of schedules, here and elsewhere, that there may be some to make. */
@Injectable()
export class ScheduleNews {
  private readonly listeners: (() => void)[] = [];

  constructor(
    private readonly notifier: Notifier,
    private readonly process: ProcessLease,
    private readonly clock: DatabaseClock,
  ) {}

  /** Calls `listener` whenever a schedule was made or changed, here or elsewhere, or its time may have come at once. */
  listen(listener: () => void): void {
    this.listeners.push(listener);
    this.process.listen(whenTold('schedules', listener));
    this.clock.onSkip(listener);
  }

  announce(): void {
    for (const tell of this.listeners) tell();
    this.notifier.notify('schedules');
  }
}
