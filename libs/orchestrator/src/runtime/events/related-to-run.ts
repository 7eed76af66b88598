import { currentScope } from '../engine/run-scope.js';
import { labelsOf, type Labels } from './event-content.js';

/** What an event that code of a run emits has to do with: its runs, its flow, and their tags. Nothing outside any run. */
export function relatedToRun(): Labels[] {
  const place = currentScope()?.place;
  if (!place) return [];
  const { flowRun, taskRun, flowName } = place;
  const tags = new Set([...(flowRun?.created.tags ?? []), ...(taskRun?.created.tags ?? [])]);
  return [
    ...(flowRun
      ? [labelsOf({ id: `prefect.flow-run.${flowRun.created.id}`, name: flowRun.created.name }, 'flow-run')]
      : []),
    ...(taskRun
      ? [labelsOf({ id: `prefect.task-run.${taskRun.created.id}`, name: taskRun.created.name }, 'task-run')]
      : []),
    ...(flowRun
      ? [
          labelsOf(
            { id: `prefect.flow.${flowRun.created.flowId}`, ...(flowName !== null && { name: flowName }) },
            'flow',
          ),
        ]
      : []),
    ...[...tags].map((tag) => labelsOf({ id: `prefect.tag.${tag}` }, 'tag')),
  ];
}
