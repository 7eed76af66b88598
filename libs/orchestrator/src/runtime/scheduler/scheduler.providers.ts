import { LateRuns } from './late-runs.service.js';
import { MissedRuns } from './missed-runs.service.js';
import { ScheduleFiller } from './schedule-filler.service.js';
import { ScheduleNews } from './schedule-news.service.js';
import { Scheduler } from './scheduler.service.js';
import { TurnGiver } from './turn-giver.service.js';

/** Schedules: their runs, their turns, and what is late. */
export const schedulerProviders = [ScheduleNews, ScheduleFiller, Scheduler, TurnGiver, LateRuns, MissedRuns];
