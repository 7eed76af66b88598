import { Injectable } from '@nestjs/common';
import { BaseWorker, type JobEnd, type PoolSettings, type WorkerJob } from '@nestor/orchestrator';

/** A worker whose infrastructure goes on without it, and is what a test says. */
@Injectable()
export class LastingBoxWorker extends BaseWorker {
  readonly type = 'lasting-box';
  override readonly outlivesProcess = true;
  override readonly baseJobTemplate = {
    job_configuration: { image: '{{ image }}' },
    variables: { type: 'object', properties: { image: { type: 'string', default: 'app:1' } } },
  };
  readonly jobs: WorkerJob[] = [];
  readonly kills: [identifier: string, image: unknown, graceMs: number][] = [];
  readonly heard: PoolSettings[] = [];
  /** What happens in a box. */
  inside: (job: WorkerJob) => Promise<JobEnd> = () => new Promise(() => undefined);
  /** What ending one comes to. */
  ending: () => Promise<void> = async () => undefined;

  /** @param prefix what its boxes are called. */
  constructor(private readonly prefix = 'box') {
    super();
  }

  async run(job: WorkerJob): Promise<JobEnd> {
    this.jobs.push(job);
    await job.started(`${this.prefix}-${this.jobs.length}`);
    return this.inside(job);
  }

  async kill(identifier: string, { image }: Readonly<Record<string, unknown>>, graceMs: number): Promise<void> {
    this.kills.push([identifier, image, graceMs]);
    await this.ending();
  }

  override poolChanged(settings: PoolSettings): void {
    this.heard.push(settings);
  }
}
