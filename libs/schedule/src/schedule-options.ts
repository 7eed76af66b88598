import { ConfigurableModuleBuilder } from '@nestjs/common';

/** Which decorators count: the same options as those of the module of `@nestjs/schedule`. */
export interface ScheduleModuleOptions {
  /** `@Cron()`. Default `true`. */
  readonly cronJobs?: boolean;
  /** `@Interval()`. Default `true`. */
  readonly intervals?: boolean;
  /** `@Timeout()`. Default `true`. */
  readonly timeouts?: boolean;
}

/** Makes the options, for `ScheduleModule.forRootAsync({ useClass: … })`. */
export interface ScheduleModuleOptionsFactory {
  createScheduleOptions(): ScheduleModuleOptions | Promise<ScheduleModuleOptions>;
}

export const {
  ConfigurableModuleClass: OptionsModuleClass,
  MODULE_OPTIONS_TOKEN: SCHEDULE_OPTIONS,
  OPTIONS_TYPE,
  ASYNC_OPTIONS_TYPE,
} = new ConfigurableModuleBuilder<ScheduleModuleOptions>({ moduleName: 'NestorSchedule' })
  .setClassMethodName('forRoot')
  .setFactoryMethodName('createScheduleOptions')
  .build();
