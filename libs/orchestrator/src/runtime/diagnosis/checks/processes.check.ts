import { ableProcesses } from '../able-processes.js';
import { describeProcess, namedProcess, type ExaminedRun, type RunCheck } from '../run-check.js';
import type { RunReason } from '../run-reason.js';
import { ofWaiting } from '../waiting.js';

/** Nobody who lives could take it, or nobody who could has room. */
export const processes: RunCheck = ofWaiting(async (run) => {
  const { alive, withFlow, ofBuild, serving, withRoom } = await ableProcesses(run);
  const { app, pinnedBuildId } = run.row;
  if (alive.length === 0) {
    const message = `No process of application "${app}" is alive: start one that has flow "${run.flowName}".`;
    return [blocked('NO_PROCESS', message, { app })];
  }
  if (withFlow.length === 0) {
    const message = `${alive.length} processes of application "${app}" are alive, and none has flow "${run.flowName}".`;
    const data = { app, flow: run.flowName, processes: alive.map(namedProcess) };
    return [blocked('FLOW_NOT_REGISTERED', message, data)];
  }
  if (ofBuild.length === 0 && pinnedBuildId !== null) {
    const running = [...new Set(withFlow.map(({ buildId }) => buildId))];
    const message =
      `It is pinned to build ${pinnedBuildId}, which began it, and no process of that is alive; those that have its flow are of ` +
      `build ${running.join(', ')}. Start one of its own, or cancel the run.`;
    return [blocked('BUILD_NOT_RUNNING', message, { buildId: pinnedBuildId, running })];
  }
  if (serving.length === 0) {
    const { pool, queue, place } = placeOf(run);
    const message = `Processes that have its flow are alive, and none takes runs ${place}.`;
    return [blocked('NO_WORKER', message, { app, pool, queue, processes: ofBuild.map(namedProcess) })];
  }
  if (withRoom.length > 0) return [];
  const busy = serving.map(({ process, limit }) => ({ ...namedProcess(process), runs: process.held, limit }));
  const some = busy.slice(0, 3).map((one) => `${describeProcess(one)} has ${one.runs} of ${one.limit}`);
  const message = `All that could take it execute as many runs as they take at a time: ${some.join(', ')}.`;
  return [blocked('WORKERS_BUSY', message, { processes: busy })];
});

function placeOf({ queue, pool }: ExaminedRun): { pool: string | null; queue: string | null; place: string } {
  if (!queue || !pool) return { pool: null, queue: null, place: 'of no queue (option `worker.unqueued`)' };
  const place = `from queue "${queue.name}" of work pool "${pool.name}", which is of type "${pool.type}" (option \`worker.pools\`)`;
  return { pool: pool.name, queue: queue.name, place };
}

function blocked<Code extends RunReason['code']>(
  code: Code,
  message: string,
  data: Extract<RunReason, { code: Code }>['data'],
): RunReason {
  return { code, message, blocks: true, data } as RunReason;
}
