// In place of the module of @nestjs/schedule: its decorators work unchanged, and what they say runs once for all processes.
export { ScheduleModule } from './schedule.module.js';
export type { ScheduleModuleOptions, ScheduleModuleOptionsFactory } from './schedule-options.js';
export { ScheduledTwiceError, ScheduleWithoutOrchestratorError } from './schedule-errors.js';
