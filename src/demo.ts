import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FlowRuns, StateType } from '@nestor/orchestrator';
import { AppModule } from './app.module.js';
import { readEnvironment } from './config/environment.js';
import { startAudit } from './examples/dependency-audit/first-audit.js';
import { exitWith } from './exit.js';
import { watchRun } from './demo/progress.js';
import { auditSummary } from './demo/audit-summary.js';
import { taskTree } from './demo/task-tree.js';
import { QuietNestLogger } from './quiet-nest.logger.js';
import { aborted, stopSignal } from './stop-signal.js';

const STOPPED = 130;

/** Runs the dependency audit once, without a server, and shows what became of it. */
async function main(): Promise<void> {
  const stop = stopSignal();
  const settings = readEnvironment();
  const app = await NestFactory.createApplicationContext(AppModule.with(settings), {
    abortOnError: false,
    logger: new QuietNestLogger(['warn', 'error', 'fatal'], ['Run']), // how runs end is shown, and kept with them
  });
  let outcome: DemoOutcome | void;
  try {
    outcome = await Promise.race([demonstrate(app, settings.home), aborted(stop)]);
  } finally {
    await app.close(); // nothing may be printed after the last line
  }
  if (outcome) console.log(JSON.stringify(outcome));
  process.exitCode = outcome ? (outcome.state === StateType.Completed ? 0 : 1) : STOPPED;
}

interface DemoOutcome {
  readonly flow_run_id: string;
  readonly state: StateType | null;
  readonly task_runs: number;
  readonly seconds: number;
}

async function demonstrate(app: INestApplicationContext, home: string): Promise<DemoOutcome> {
  const flowRuns = app.get(FlowRuns);
  const started = performance.now();
  const { run: audit, reportFile } = await startAudit(app, home);
  console.log(`Flow run ${audit.name} (${audit.id}) audits the packages of package-lock.json.`);
  await watchRun(flowRuns, audit.id, process.stdout);
  const seconds = Math.round(performance.now() - started) / 1_000;

  const run = await flowRuns.get(audit.id);
  if (run.stateType === StateType.Completed) {
    console.log(auditSummary(await audit.result()));
    console.log(`The report is in ${reportFile}\n`);
  } else console.log(`The run is ${run.stateName}: ${run.states.at(-1)?.message}`);
  const tasks = await taskTree(flowRuns, run);
  console.log(tasks.text);
  return { flow_run_id: run.id, state: run.stateType, task_runs: tasks.count, seconds };
}

main().catch(exitWith);
