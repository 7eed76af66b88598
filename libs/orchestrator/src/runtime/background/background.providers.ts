import { BackgroundTaskOutcomes } from './background-task-outcomes.js';
import { BackgroundTasks } from './background-tasks.service.js';
import { DeadLetters } from './dead-letters.service.js';
import { OrphanedTasks } from './orphaned-tasks.service.js';
import { TaskClaimer } from './task-claimer.service.js';
import { TaskQueue } from './task-queue.service.js';
import { TasksInFlight } from './tasks-in-flight.js';

/** Tasks in the queue. */
export const backgroundProviders = [
  TasksInFlight,
  BackgroundTaskOutcomes,
  TaskQueue,
  OrphanedTasks,
  DeadLetters,
  TaskClaimer,
  BackgroundTasks,
];
