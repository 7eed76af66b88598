import 'reflect-metadata';

/** What `@Cron()` notes of a method, as far as it means something here. */
export interface CronMetadata {
  /** An expression, a `Date`, or a `DateTime` of luxon. */
  readonly cronTime: unknown;
  readonly name?: string;
  readonly timeZone?: unknown;
  readonly utcOffset?: unknown;
  readonly waitForCompletion?: boolean;
  readonly disabled?: boolean;
  /** Milliseconds. */
  readonly threshold?: number;
  /** Milliseconds. */
  readonly initialDelay?: number;
}

/** The decorator that a method has of `@nestjs/schedule`. */
export type NestDecorator =
  | { readonly kind: 'cron'; readonly name: string | undefined; readonly cron: CronMetadata }
  | { readonly kind: 'interval' | 'timeout'; readonly name: string | undefined; readonly ms: number };

/** How the package tells its decorators apart, under the key `SCHEDULER_TYPE`. */
const CRON = 1;
const TIMEOUT = 2;
const INTERVAL = 3;

/**
 * Reads what the decorators of the package have put on a method. The keys are texts, and have been the same since its first
 * release: so they are found whichever copy of the package has put them there.
 */
export function nestDecoratorOf(method: object): NestDecorator | null {
  const read = (key: string): unknown => Reflect.getMetadata(key, method);
  const name = read('SCHEDULER_NAME') as string | undefined;
  switch (read('SCHEDULER_TYPE')) {
    case CRON:
      return { kind: 'cron', name, cron: read('SCHEDULE_CRON_OPTIONS') as CronMetadata };
    case INTERVAL:
      return { kind: 'interval', name, ms: (read('SCHEDULE_INTERVAL_OPTIONS') as { timeout: number }).timeout };
    case TIMEOUT:
      return { kind: 'timeout', name, ms: (read('SCHEDULE_TIMEOUT_OPTIONS') as { timeout: number }).timeout };
    default:
      return null;
  }
}
