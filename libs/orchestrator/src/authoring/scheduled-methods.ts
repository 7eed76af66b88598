import { Injectable } from '@nestjs/common';
import type { ProviderClass } from '../runtime/registry/definitions.js';
import type { AnySchedule } from './deployment.options.js';

/** A method of a provider, whatever is on it. */
export interface ProviderMethod {
  readonly provider: ProviderClass;
  readonly methodName: string;
  /** As it stands on the prototype, with the metadata of all decorators. */
  readonly method: object;
}

/** What a decorator of another package says of a method: that it runs by itself, and when. */
export interface ScheduledMethod {
  /** The decorator, for messages: `@Cron()`. */
  readonly decorator: string;
  /** What its flow is called where the method is none by itself. `undefined`: `Class.method`. */
  readonly name: string | undefined;
  /** `null` where whoever reads the decorator starts it. */
  readonly schedule: AnySchedule | null;
}

/** Knows the decorators of another package that say when methods run. */
export interface ScheduledMethodReader {
  /** Called before anything is read. @throws what is to keep the application from starting. */
  prepare(): void;
  /** `null` for a method that has no decorator of the package. @throws when one cannot be meant. */
  read(method: ProviderMethod): ScheduledMethod | null;
}

/**
 * The readers that other modules have added: methods that one of them knows become flows with a deployment, as if they were
 * decorated with `@Flow()` and `@Schedule()`. To be added by the time the instances of the application are made.
 */
@Injectable()
export class ScheduledMethods {
  private readonly readers: ScheduledMethodReader[] = [];

  add(reader: ScheduledMethodReader): void {
    this.readers.push(reader);
  }

  prepare(): void {
    for (const reader of this.readers) reader.prepare();
  }

  find(method: ProviderMethod): ScheduledMethod | null {
    for (const reader of this.readers) {
      const found = reader.read(method);
      if (found) return found;
    }
    return null;
  }
}
