import { Logger } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import {
  InvalidOptionError,
  type ProviderMethod,
  type ScheduledMethod,
  type ScheduledMethodReader,
} from '@nestor/orchestrator';
import { nestDecoratorOf, type CronMetadata, type NestDecorator } from './nest-metadata.js';
import { ScheduledTwiceError } from './schedule-errors.js';
import type { ScheduleModuleOptions } from './schedule-options.js';
import { timesOfCron } from './times-of-cron.js';

/** A method that is to run once, so long after the start of the process. */
export interface StartedMethod extends Pick<ProviderMethod, 'provider' | 'methodName'> {
  readonly ms: number;
}

type ScheduleOf = NonNullable<ScheduledMethod['schedule']>;

const DECORATORS = { cron: '@Cron()', interval: '@Interval()', timeout: '@Timeout()' } as const;
const OPTIONS = { cron: 'cronJobs', interval: 'intervals', timeout: 'timeouts' } as const;

/** Reads the decorators of `@nestjs/schedule`. */
export class NestMethods implements ScheduledMethodReader {
  private readonly logger = new Logger('Schedule');
  private readonly toStart = new Map<string, StartedMethod>();

  constructor(
    private readonly modules: ModulesContainer,
    private readonly options: ScheduleModuleOptions,
  ) {}

  /** Those with `@Timeout()`, once they are read. */
  get started(): readonly StartedMethod[] {
    return [...this.toStart.values()];
  }

  /** @throws {ScheduledTwiceError} */
  prepare(): void {
    // By the name of what explores, because there may be several copies of the package, whose decorators are the same.
    const explores = (token: unknown): boolean => typeof token === 'function' && token.name === 'ScheduleExplorer';
    if ([...this.modules.values()].some(({ providers }) => [...providers.keys()].some(explores))) {
      throw new ScheduledTwiceError();
    }
  }

  /** @throws {InvalidOptionError} */
  read({ provider, methodName, method }: ProviderMethod): ScheduledMethod | null {
    const found = nestDecoratorOf(method);
    if (!found || this.options[OPTIONS[found.kind]] === false) return null;
    const place = `${provider.name}.${methodName}`;
    if (found.kind === 'timeout') this.toStart.set(place, { provider, methodName, ms: found.ms });
    return { decorator: DECORATORS[found.kind], name: found.name, schedule: this.scheduleOf(found, place) };
  }

  private scheduleOf(found: NestDecorator, place: string): ScheduleOf | null {
    switch (found.kind) {
      case 'timeout':
        return null;
      case 'interval':
        // What was missed while nobody was there is passed over, as it is by timers.
        return { slug: 'interval', interval: found.ms, catchUp: 'none' };
      case 'cron':
        return this.cronSchedule(found.cron, place);
    }
  }

  private cronSchedule(cron: CronMetadata, place: string): ScheduleOf {
    const fail = (problem: string): never => {
      throw new InvalidOptionError(place, DECORATORS.cron, `${problem}.`);
    };
    if (cron.initialDelay !== undefined) {
      this.logger.warn(
        `${place} has an initialDelay, which counts from the start of a process: it means nothing for runs that any process takes.`,
      );
    }
    return {
      slug: 'cron',
      ...timesOfCron(cron, fail),
      active: !(cron.disabled ?? false),
      overlap: cron.waitForCompletion === true ? 'skip' : 'allow',
      ...(cron.threshold === undefined
        ? { catchUp: 'none' as const }
        : { catchUp: 'all' as const, catchUpWindow: cron.threshold }),
    };
  }
}
