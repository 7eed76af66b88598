import { OrchestratorError } from '@nestor/core';

/**
 * An application imports the module of `@nestjs/schedule` beside that of `nestor/schedule`: what is
 * decorated would run by both.
 */
export class ScheduledTwiceError extends OrchestratorError {
  readonly code = 'SCHEDULED_TWICE';

  constructor() {
    super(
      'ScheduleModule of @nestjs/schedule is imported as well as that of nestor/schedule, so that every @Cron(), @Interval() and ' +
        '@Timeout() would run twice: in every process, and once for all of them. Import ScheduleModule from "nestor/schedule" ' +
        'wherever it is imported; the decorators stay as they are.',
    );
  }
}

/** The module of `nestor/schedule` is imported by an application that has no orchestrator to run what is decorated. */
export class ScheduleWithoutOrchestratorError extends OrchestratorError {
  readonly code = 'SCHEDULE_WITHOUT_ORCHESTRATOR';

  constructor() {
    super('ScheduleModule of nestor/schedule needs OrchestratorModule.forRoot(): import that in the same application.');
  }
}
