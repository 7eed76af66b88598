import { BatchWriter } from './batch-writer.service.js';
import { DatabaseClock } from './database-clock.js';
import { Journal } from './journal.js';
import { RunClosing } from './run-closing.service.js';
import { StoredRuns } from './stored-runs.service.js';
import { TaskRunTransitions } from './task-run-transitions.service.js';
import { TransitionService } from './transition.service.js';

/** The door of states. */
export const transitionsProviders = [
  DatabaseClock,
  BatchWriter,
  Journal,
  TransitionService,
  TaskRunTransitions,
  StoredRuns,
  RunClosing,
];
