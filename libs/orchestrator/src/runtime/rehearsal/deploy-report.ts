import type { OnDivergence } from '../replay/replay.js';
import type { DifferentCall } from './run-recording.js';

/** A run in flight of which something is told. */
interface ToldRun {
  readonly flowRunId: string;
  readonly name: string;
  readonly flowName: string;
  readonly stateName: string;
  /** The build of the code that created it. */
  readonly buildId: string | null;
}

/** A run in flight that this code would go on with otherwise than it began. */
export interface DivergentRun extends ToldRun {
  /** What becomes of it when it goes on in this code: see option `onDivergence` of its flow. */
  readonly consequence: OnDivergence;
  /** What this code calls where something else is recorded. */
  readonly newCalls: readonly DifferentCall[];
  /** What is recorded and not called any more. */
  readonly missingCalls: readonly DifferentCall[];
  /** One sentence for each difference. */
  readonly differences: readonly string[];
}

/** A run in flight of which cannot be told whether this code could go on with it. */
export interface UncheckedRun extends ToldRun {
  /** That of the error: `FLOW_NOT_REGISTERED`, or a `PAYLOAD_…` that cannot be read here. */
  readonly code: string;
  readonly message: string;
}

/** What a new build of the code would make of the runs in flight. */
export interface DeployReport {
  /** The build that was checked. */
  readonly buildId: string;
  readonly app: string;
  /** Runs that have begun and not ended, all of the following together. */
  readonly inFlight: number;
  /** That this code goes on with as they began. */
  readonly compatible: number;
  /** That this code does not touch, or whose next attempt may do what it likes: pinned to another build, forks, and retries. */
  readonly unaffected: number;
  readonly divergent: readonly DivergentRun[];
  readonly unchecked: readonly UncheckedRun[];
  /** Nothing diverges, and nothing is unchecked. */
  readonly isSafe: boolean;
}

/** How many differences of a run are told to people: of a run that begins otherwise all that follows is one. */
const MOST_TOLD = 10;

/** The report for people. */
export function describeReport(report: DeployReport): string {
  const { buildId, app, inFlight, compatible, unaffected, divergent, unchecked } = report;
  const lines = [
    `Build ${buildId} of application "${app}" against ${inFlight} ${inFlight === 1 ? 'run' : 'runs'} in flight:`,
    `  ${compatible} go on as they began, ${unaffected} are not affected, ${divergent.length} would diverge, ` +
      `${unchecked.length} cannot be checked.`,
  ];
  for (const run of divergent) {
    lines.push('', `${headOf(run)} would diverge (${CONSEQUENCES[run.consequence]}):`);
    lines.push(...run.differences.slice(0, MOST_TOLD).map((difference) => `  ${difference}`));
    if (run.differences.length > MOST_TOLD) lines.push(`  … and ${run.differences.length - MOST_TOLD} more.`);
  }
  for (const run of unchecked) lines.push('', `${headOf(run)} cannot be checked: ${run.code}`, `  ${run.message}`);
  return lines.join('\n');
}

const CONSEQUENCES: Readonly<Record<OnDivergence, string>> = {
  fail: 'it fails then',
  warn: 'it goes on with a warning',
  run: 'it goes on without a word',
};

function headOf({ flowRunId, name, flowName, stateName, buildId }: ToldRun): string {
  const build = buildId === null ? '' : `, build ${buildId}`;
  return `${flowName}: run ${flowRunId} (${name}, ${stateName}${build})`;
}
