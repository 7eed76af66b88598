import { Injectable } from '@nestjs/common';
import { Notifier } from '../notifications/notifier.service.js';

/** Tells whoever makes runs of schedules, here and elsewhere, that there may be some to make. */
@Injectable()
export class ScheduleNews {
  private readonly listeners: (() => void)[] = [];

  constructor(private readonly notifier: Notifier) {}

  /** Calls `listener` whenever a schedule was made or changed by this process. */
  listen(listener: () => void): void {
    this.listeners.push(listener);
  }

  announce(): void {
    for (const tell of this.listeners) tell();
    this.notifier.notify('schedules');
  }
}
