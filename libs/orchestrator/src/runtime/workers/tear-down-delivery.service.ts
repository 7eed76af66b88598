import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { newId } from '../../persistence/ids.js';
import { Transactions, type Tx } from '../../persistence/transactions.js';
import { EventsRepository, RESOURCE_ID } from '../../records/events/events.repository.js';
import { FlowRunClaimsRepository } from '../../records/flow-runs/flow-run-claims.repository.js';
import {
  InfrastructureRepository,
  type BuriedTearDown,
  type TearDownOrder,
} from '../../records/infrastructure/infrastructure.repository.js';
import { callAfter, withinMs } from '../engine/wait-until.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { Loops } from '../loops/loops.service.js';
import { WakeableLoop } from '../loops/wakeable-loop.js';
import { topicsOf } from '../notifications/notifier.service.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import type { BaseWorker } from './base-worker.js';
import { configurationOfJob } from './configuration-of-job.js';
import { WORKER_SETTINGS, type WorkerSettings } from './worker-settings.js';
import { NEST_TYPE, WorkerTypes } from './worker-types.service.js';

/** How long infrastructure that nobody needs may go on unnoticed. */
const EVERY_MS = 5_000;
const AFTER_FAILURE_MS = 1_000;
/** As in the contract: what so many attempts did not end is given up. */
const MOST_ATTEMPTS = 3;
/** Between two attempts, times the number of the first of them. */
const RETRY_MS = 5_000;
/** How long ending something may take beyond its grace; then it counts as failed. */
const OVERTIME_MS = 30_000;
/** For so much longer than that it is nobody else's: what was not reported by then is tried again. */
const REPORT_MS = 15_000;
/** How much is ended at a time. */
const AT_ONCE = 20;
/** How long what is under way may take when this process ends. */
const LAST_MS = 1_000;

/**
 * Ends infrastructure whose run needs it no more, in the place of workers that are gone: their runs ended, or go on elsewhere. At
 * least once, and three times at most. Every process that serves the pool with that type of worker does so; each is taken by one.
 * Only what outlives its worker has to be ended; the rest is gone with it.
 */
@Injectable()
export class TearDownDelivery implements OnApplicationBootstrap {
  private readonly logger = new Logger(TearDownDelivery.name);
  private readonly loop = new WakeableLoop('Ending infrastructure', this.logger, () => this.round(), AFTER_FAILURE_MS);
  private readonly underWay = new Set<Promise<void>>();
  /** How what is under way would be given up. */
  private readonly limits = new Set<() => void>();
  private poolNames: readonly string[] = [];
  private workers: ReadonlyMap<string, BaseWorker> = new Map();

  constructor(
    private readonly infrastructure: InfrastructureRepository,
    private readonly claims: FlowRunClaimsRepository,
    private readonly events: EventsRepository,
    private readonly transactions: Transactions,
    private readonly types: WorkerTypes,
    private readonly process: ProcessLease,
    private readonly clock: DatabaseClock,
    private readonly loops: Loops,
    @Inject(ENGINE_SETTINGS) private readonly engine: EngineSettings,
    @Inject(WORKER_SETTINGS) private readonly settings: WorkerSettings | null,
  ) {}

  onApplicationBootstrap(): void {
    const served = (this.settings?.pools ?? []).filter(({ type }) => type !== NEST_TYPE);
    const able = served.filter(({ type, name }) => this.types.get(type, name).outlivesProcess);
    if (able.length === 0) return;
    this.poolNames = able.map(({ name }) => name);
    this.workers = new Map(able.map(({ type, name }) => [type, this.types.get(type, name)]));
    this.process.listen({
      notified: (payload) => {
        const topics = payload === null ? null : topicsOf(payload);
        if (topics?.some((topic) => topic === 'tear-downs' || topic.startsWith('run:')) ?? true) this.loop.wake();
      },
    });
    this.loops.start('tear-downs', this.loop);
  }

  /** Looks right away. */
  wake(): void {
    this.loop.wake();
  }

  /** Begins nothing more. What is under way and takes longer is tried again by others. */
  async stop(): Promise<void> {
    await this.loop.stop();
    await withinMs(Promise.all(this.underWay), LAST_MS);
    for (const callOff of this.limits) callOff();
  }

  private get killGraceMs(): number {
    return this.settings?.killGraceMs ?? 0;
  }

  private async round(): Promise<number> {
    const { app } = this.engine;
    const types = [...this.workers.keys()];
    const room = AT_ONCE - this.underWay.size;
    if (room <= 0) return EVERY_MS; // whatever ends wakes us
    await this.transactions.single((tx) => this.infrastructure.forgetFinished(tx, app, types));
    await this.buryLapsed(app, types);
    const request = { app, types, poolNames: this.poolNames, limit: room };
    const claimMs = this.killGraceMs + OVERTIME_MS + REPORT_MS;
    const orders = await this.transactions.single((tx) =>
      this.infrastructure.claimNeedless(tx, { ...request, claimMs }),
    );
    for (const order of orders) this.begin(order);
    return EVERY_MS;
  }

  private begin(order: TearDownOrder): void {
    const ended = this.tearDown(order).finally(() => {
      this.underWay.delete(ended);
      this.loop.wake();
    });
    this.underWay.add(ended);
  }

  /** Never rejects: what could not be reported is tried again. */
  private async tearDown(order: TearDownOrder): Promise<void> {
    const { id, identifier, flowRunId } = order;
    try {
      await this.kill(order);
      await this.transactions.single((tx) => this.infrastructure.remove(tx, id));
      this.logger.log(`The infrastructure ${identifier} of flow run ${flowRunId} was ended: its worker is gone.`);
    } catch (error) {
      await this.noteFailure(order, error).catch((other: unknown) => {
        this.logger.warn(`That ${identifier} could not be ended could not be noted: ${String(other)}`);
      });
    }
  }

  private async kill({ type, identifier, flowRunId }: TearDownOrder): Promise<void> {
    const worker = this.workers.get(type);
    if (!worker) throw new Error(`There is no worker of type "${type}".`);
    const configuration = await configurationOfJob(this.claims, flowRunId);
    const withinAllMs = this.killGraceMs + OVERTIME_MS;
    let callOff = (): void => undefined;
    const late = new Promise<never>((_, reject) => {
      callOff = callAfter(withinAllMs, () => reject(new Error(`It was not ended within ${withinAllMs} ms.`)));
    });
    this.limits.add(callOff);
    try {
      await Promise.race([worker.kill(identifier, configuration, this.killGraceMs), late]);
    } finally {
      callOff();
      this.limits.delete(callOff);
    }
  }

  private async noteFailure(order: TearDownOrder, error: unknown): Promise<void> {
    const { identifier, flowRunId, attempts } = order;
    this.logger.warn(
      `The infrastructure ${identifier} of flow run ${flowRunId} could not be ended (attempt ${attempts} of ` +
        `${MOST_ATTEMPTS}): ${String(error)}`,
    );
    const pace = { most: MOST_ATTEMPTS, pauseMs: RETRY_MS * attempts };
    await this.transactions.run(async (tx) => {
      const buried = await this.infrastructure.fail(tx, order, String(error), pace);
      if (buried) await this.sayGivenUp(tx, buried);
    });
  }

  /** Those that were about it died each time. */
  private async buryLapsed(app: string, types: readonly string[]): Promise<void> {
    await this.transactions.run(async (tx) => {
      for (const buried of await this.infrastructure.buryLapsed(tx, app, types, MOST_ATTEMPTS)) {
        await this.sayGivenUp(tx, buried);
      }
    });
  }

  private async sayGivenUp(tx: Tx, buried: BuriedTearDown): Promise<void> {
    const { id, flowRunId, type, identifier, workPoolName, attempts, error } = buried;
    this.logger.error(
      `The infrastructure ${identifier} of flow run ${flowRunId} is given up after ${attempts} attempts to end it; see ` +
        `TearDowns.deadLetters().`,
    );
    await this.events.insert(tx, {
      id: newId(),
      occurred: this.clock.now(),
      event: 'nestor.infrastructure.given-up',
      resource: {
        [RESOURCE_ID]: `nestor.infrastructure.${id}`,
        'prefect.resource.name': identifier,
        'nestor.worker.type': type,
      },
      related: [{ [RESOURCE_ID]: `prefect.flow-run.${flowRunId}`, 'prefect.resource.role': 'flow-run' }],
      payload: { attempts, error, work_pool: workPoolName },
    });
  }
}
