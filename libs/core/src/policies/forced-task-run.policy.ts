import { releaseTagSlots } from '../rules/task-runs/release-tag-slots.rule.js';
import type { TaskRun } from '../transitions/run.js';
import type { Policy } from '../transitions/transition.js';

/** What a task run is held to even when a state is forced on it: it lets go of its slots. */
export const forcedTaskRunPolicy: Policy<TaskRun> = [releaseTagSlots];
