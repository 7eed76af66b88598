import { StateType } from '@nestor/core';
import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FlowRunsRepository } from '../../../records/flow-runs/flow-runs.repository.js';
import { withinMs } from '../../engine/wait-until.js';
import { HandedOverRuns, RunNotHandedOverError } from '../handed-over-runs.service.js';
import { applicationModule } from './application-module.js';
import { HostLogger } from './host-logger.js';
import { isolate } from './isolated.js';
import type { BeginOrder, RunNews } from './messages.js';

/** How long an application may take to close once nothing is executed in it any more. */
const CLOSE_WITHIN_MS = 10_000;

/** The worker, seen from the process or the thread that it started for a run. */
interface Host {
  tell(news: RunNews): void;
  /** Ends this process, or this thread, whatever is still going on in it, once all that was told has left. */
  end(exitCode: number): void;
}

/** What a process, or a thread, does that is there for one run: starts the application, executes the run, and ends. */
export class IsolatedRun {
  private context: INestApplicationContext | null = null;
  private flowRunId: string | null = null;
  private closing: Promise<void> | null = null;
  private isStopped = false;

  constructor(private readonly host: Host) {}

  async begin({ application, lease, directory }: BeginOrder): Promise<void> {
    isolate();
    const logger = new HostLogger((news) => this.host.tell(news));
    try {
      const module = await applicationModule(application);
      this.context = await NestFactory.createApplicationContext(module, { logger, abortOnError: false });
      // Not before: what the application says of files is meant relative to where its host was started.
      if (directory !== null) process.chdir(directory);
    } catch (error) {
      const message = `The application could not be started for it: ${String(error)}`;
      this.host.tell({ kind: 'failed', message });
      return this.host.end(1);
    }
    if (!this.isStopped) {
      this.flowRunId = lease.flowRunId;
      try {
        await this.context.get(HandedOverRuns, { strict: false }).execute(lease);
      } catch (error) {
        if (!(error instanceof RunNotHandedOverError)) throw error;
        logger.warn(error.message, IsolatedRun.name); // somebody was faster: no matter of the run
      }
    }
    await this.close();
  }

  /**
   * Ends before the run does: what is executed is handed back, for somebody else to go on with. A run that is being
   * cancelled is left to end by itself, as long as it is let.
   */
  async stop(): Promise<void> {
    this.isStopped = true;
    const { context, flowRunId } = this;
    if (!context) return this.host.end(0); // it has not begun, and nothing of it is here
    if (flowRunId !== null) {
      const [run] = await context.get(FlowRunsRepository, { strict: false }).observed([flowRunId]);
      if (run?.stateType === StateType.Cancelling) return;
    }
    await this.close();
  }

  private close(): Promise<void> {
    return (this.closing ??= withinMs(this.context?.close() ?? Promise.resolve(), CLOSE_WITHIN_MS).then(() =>
      this.host.end(0),
    ));
  }
}
