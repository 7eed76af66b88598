import { isTerminal, type FlowRuns, type FlowRunView } from '@nestor/orchestrator';

const EVERY_MS = 250;

/** Prints how many task runs are in which state until the run has ended: in place on a terminal, else when it changes. */
export async function watchRun(
  flowRuns: FlowRuns,
  flowRunId: string,
  out: { readonly isTTY?: boolean; write(text: string): unknown },
): Promise<void> {
  let shown = '';
  for (let ended = false; !ended;) {
    const run: FlowRunView = await flowRuns.get(flowRunId);
    ended = run.stateType !== null && isTerminal(run.stateType);
    const line = `${run.stateName}: ${countsText(await flowRuns.countTaskRuns(flowRunId))}`;
    if (line !== shown) out.write(out.isTTY ? `\r\u001b[2K${line}` : `${line}\n`);
    shown = line;
    if (!ended) await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
  if (out.isTTY) out.write('\n');
}

function countsText(counts: Awaited<ReturnType<FlowRuns['countTaskRuns']>>): string {
  const parts = Object.entries(counts).map(([type, count]) => `${count} ${type.toLowerCase()}`);
  return `task runs: ${parts.length > 0 ? parts.join(', ') : 'none yet'}`;
}
