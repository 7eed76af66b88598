import {
  Inject,
  Logger,
  Module,
  Optional,
  type DynamicModule,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { SchedulerRegistry } from '@nestjs/schedule';
import { Flows, isIsolated, isPassive, ScheduledMethods } from '@nestor/orchestrator';
import { NestMethods, type StartedMethod } from './nest-methods.js';
import { ScheduleWithoutOrchestratorError } from './schedule-errors.js';
import {
  OptionsModuleClass,
  SCHEDULE_OPTIONS,
  type ASYNC_OPTIONS_TYPE,
  type OPTIONS_TYPE,
  type ScheduleModuleOptions,
} from './schedule-options.js';

/**
 * In place of the module of the same name of `@nestjs/schedule`: its decorators stay as they are, and every
 * method with one is a flow.
 *
 * - `@Cron()` and `@Interval()`: a deployment `default` with one schedule. Each of its times is run once, by one of the
 *   processes of the application, with a history, and again when that process dies.
 * - `@Timeout()`: a run in each process, so long after its start.
 *
 * A method that is a flow by `@Flow()` as well keeps what that says. `OrchestratorModule.forRoot()` has to be imported in
 * the same application. `SchedulerRegistry` can be injected, for jobs that the application adds to it: they run in this
 * process alone. What is decorated is not in it; see {@link Deployments} for that.
 *
 * The application does not start with {@link ScheduledTwiceError} when the package's own module is imported as well, and with
 * {@link InvalidOptionError} or {@link InvalidDeploymentError} when a decorator says what cannot be meant.
 *
 * @example
 * ```ts
 * import { ScheduleModule } from 'nestor/schedule';
 *
 * @Module({ imports: [OrchestratorModule.forRoot(), ScheduleModule.forRoot()], providers: [Reports] })
 * export class AppModule {}
 * ```
 */
@Module({})
export class ScheduleModule extends OptionsModuleClass implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('Schedule');
  private readonly methods: NestMethods;
  private readonly timers = new Set<NodeJS.Timeout>();

  /** @internal */
  constructor(
    @Inject(SCHEDULE_OPTIONS) options: ScheduleModuleOptions,
    modules: ModulesContainer,
    private readonly registry: SchedulerRegistry,
    @Optional() scheduled?: ScheduledMethods,
    @Optional() private readonly flows?: Flows,
  ) {
    super();
    if (!scheduled) throw new ScheduleWithoutOrchestratorError();
    this.methods = new NestMethods(modules, options);
    scheduled.add(this.methods);
  }

  /** @param options which decorators count; default: all. */
  static override forRoot(options: typeof OPTIONS_TYPE = {}): DynamicModule {
    return complete(super.forRoot(options));
  }

  /** With options that a factory or class computes from injected services. */
  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    return complete(super.forRootAsync(options));
  }

  /** @internal */
  onApplicationBootstrap(): void {
    // An application that is looked into, or that was started for one run, has started before as far as methods are concerned.
    if (isPassive() || isIsolated()) return;
    for (const method of this.methods.started) this.startLater(method);
  }

  /** @internal */
  onModuleDestroy(): void {
    for (const timer of this.timers) clearTimeout(timer);
    for (const [name] of this.registry.getCronJobs()) this.registry.deleteCronJob(name);
    for (const name of this.registry.getIntervals()) this.registry.deleteInterval(name);
    for (const name of this.registry.getTimeouts()) this.registry.deleteTimeout(name);
  }

  private startLater({ provider, methodName, ms }: StartedMethod): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      this.flows!.start(provider, methodName as never).catch((error: unknown) =>
        this.logger.error(`${provider.name}.${methodName} was not started. ${String(error)}`),
      );
    }, ms);
    this.timers.add(timer);
  }
}

function complete(module: DynamicModule): DynamicModule {
  return {
    ...module,
    module: ScheduleModule,
    global: true,
    providers: [...(module.providers ?? []), SchedulerRegistry],
    exports: [...(module.exports ?? []), SchedulerRegistry],
  };
}
