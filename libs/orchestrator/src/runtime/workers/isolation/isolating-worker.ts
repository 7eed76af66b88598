import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { Logger } from '@nestjs/common';
import { LogLevel, type RunLogs } from '../../engine/run-logs.js';
import { callAfter, withinMs } from '../../engine/wait-until.js';
import { BaseWorker, type JobEnd, type WorkerJob } from '../base-worker.js';
import type { WorkerSettings } from '../worker-settings.js';
import { eachLine } from './lines.js';
import type { BeginOrder, RunNews } from './messages.js';

/** How long what it printed may take to arrive, once something has ended: what it left behind may hold the stream open. */
const LAST_LINES_MS = 1_000;

/** What a run is given to itself. */
export interface PlaceSettings {
  readonly env: NodeJS.ProcessEnv;
  /** The most megabytes that the objects of its code may take; `null`: what Node decides. */
  readonly maxHeapMb: number | null;
}

/** A process or a thread that was started for a run. */
export interface RunPlace {
  /** How it is called in `infrastructure_pid`. */
  readonly identifier: string;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** When it is gone. Never rejects. */
  readonly ended: Promise<JobEnd>;
  begin(order: BeginOrder): void;
  /** Asks it to end. */
  stop(): void;
  /** Ends it by force. */
  destroy(): void;
}

/**
 * Executes each run in an application of its own, started for it from the file of option `worker.application`: see
 * `IsolatedRun` for what happens there. It lives no longer than this process.
 */
export abstract class IsolatingWorker extends BaseWorker {
  private readonly places = new Map<string, RunPlace>();

  constructor(
    private readonly logs: RunLogs,
    private readonly settings: WorkerSettings | null,
  ) {
    super();
  }

  /** Starts what a run is executed in; resolves when it is there, and rejects when it cannot be. */
  protected abstract open(settings: PlaceSettings, hear: (news: RunNews) => void): Promise<RunPlace>;

  async run(job: WorkerJob): Promise<JobEnd> {
    const { temporary_dir, working_dir } = job.configuration;
    if (temporary_dir !== true) return this.runIn(job, typeof working_dir === 'string' ? working_dir : null, false);
    const directory = await mkdtemp(join(tmpdir(), 'nestor-run-'));
    try {
      return await this.runIn(job, directory, true);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  async kill(identifier: string, _: Readonly<Record<string, unknown>>, graceMs: number): Promise<void> {
    const place = this.places.get(identifier);
    if (!place) return;
    place.stop();
    const callOff = callAfter(graceMs, () => place.destroy());
    await place.ended;
    callOff();
  }

  private async runIn(job: WorkerJob, directory: string | null, isTemporary: boolean): Promise<JobEnd> {
    let failure: string | null = null;
    const place = await this.open(placeSettings(job.configuration), (news) => {
      if (news.kind === 'failed') failure = news.message;
      else new Logger(news.context)[news.level](`${job.flowRunName}: ${news.text}`);
    });
    this.places.set(place.identifier, place);
    try {
      const printed = this.follow(place, job);
      await job.started(place.identifier);
      const application = this.settings?.application ?? ''; // there is one wherever such a pool is served
      place.begin({ kind: 'begin', application, lease: job.lease, directory, isTemporary });
      const end = await place.ended;
      await withinMs(printed, LAST_LINES_MS);
      // What never began because the application does not start would not begin the next time either.
      return failure === null ? { ...end, goesOn: true } : { ...end, message: failure };
    } finally {
      place.destroy();
      this.places.delete(place.identifier);
    }
  }

  /** Keeps what is printed in the log of the run; from there it goes to Nest's logger. */
  private async follow(
    { stdout, stderr }: RunPlace,
    { flowRunId, flowRunName, configuration }: WorkerJob,
  ): Promise<void> {
    const source = { name: flowRunName, flowRunId, taskRunId: null };
    const keep = configuration.stream_output !== false;
    await Promise.all([
      eachLine(stdout, (line) => keep && this.logs.append(source, LogLevel.Info, line)),
      eachLine(stderr, (line) => keep && this.logs.append(source, LogLevel.Warning, line)),
    ]);
  }
}

function placeSettings({ env, max_heap_mb }: Readonly<Record<string, unknown>>): PlaceSettings {
  // eslint-disable-next-line no-restricted-syntax -- what is started inherits it; nothing of it is read here
  const changed: NodeJS.ProcessEnv = { ...process.env };
  for (const [name, value] of Object.entries(env ?? {})) {
    if (value === null || value === undefined) delete changed[name];
    else changed[name] = String(value);
  }
  return { env: changed, maxHeapMb: typeof max_heap_mb === 'number' ? max_heap_mb : null };
}
