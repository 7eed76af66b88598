import { encode } from '@nestor/core';
import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import { ConcurrencyClaimsRepository } from '../../records/concurrency-limits/concurrency-claims.repository.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { currentScope, type RunScope } from '../engine/run-scope.js';
import { callAfter, withinMs } from '../engine/wait-until.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { bindSlots } from './ambient-slots.js';
import { HeldBlock } from './held-block.js';
import type { SlotBlocking, SlotHold, SlotRequest } from './slot-blocking.js';
import { SlotEvents } from './slot-events.service.js';
import { SlotLine } from './slot-line.service.js';
import { Slots } from './slots.service.js';

/** Of its lease, a holder uses up that much before it renews it. */
const RENEW_AFTER = 0.75;
/** Between attempts to renew while the database is away. */
const RENEW_AGAIN_MS = 1_000;

/** What is kept of a rate that a run has waited for. */
const PASSED = encode(true);

/** Runs code while it holds slots, and sees to it that they are given back, and that it hears when they are lost. */
@Injectable()
export class SlotBlocks implements SlotBlocking, OnApplicationBootstrap {
  private readonly logger = new Logger('Concurrency');
  private readonly blocks = new Set<HeldBlock>();
  private unbind = (): void => undefined;

  constructor(
    private readonly slots: Slots,
    private readonly line: SlotLine,
    private readonly events: SlotEvents,
    private readonly claims: ConcurrencyClaimsRepository,
    private readonly transactions: Transactions,
    private readonly process: ProcessLease,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  onApplicationBootstrap(): void {
    this.process.listen({ rejoined: () => this.loseOfEarlierIds() });
    this.unbind = bindSlots(this);
  }

  /** Gives back what code still holds that outlives the application, within that time. Always resolves. */
  async close(ms: number): Promise<void> {
    this.unbind();
    await this.line.stop();
    const released = [...this.slots.held].map((held) => this.slots.release(held));
    await withinMs(
      Promise.all(released).then(() => this.events.settled()),
      ms,
    );
  }

  hold<T>(request: SlotRequest, work: (held: SlotHold) => Promise<T>): Promise<T> {
    return this.holdIn(currentScope(), request, work);
  }

  /** In the body of a flow it is kept, so that a run that begins again does not wait for it again. */
  pass(request: SlotRequest): Promise<void> {
    return this.passIn(currentScope(), request);
  }

  private async holdIn<T>(
    scope: RunScope | undefined,
    request: SlotRequest,
    work: (held: SlotHold) => Promise<T>,
  ): Promise<T> {
    const attempt = scope?.attempt ?? null;
    const letGo = scope?.place.replay?.holdOff();
    const held = await this.slots.acquire(request).finally(letGo);
    if (!held) return work({ limits: [], signal: attempt?.signal ?? new AbortController().signal });
    const block = new HeldBlock(held, attempt, request.onLeaseLost === 'abort', this.settings.cancelGraceMs);
    this.blocks.add(block);
    const stopRenewing = request.leaseMs === null ? null : this.keepRenewing(block, request.leaseMs);
    try {
      const outcome = block.during(work);
      if (held.processId !== this.process.processId) this.lose(block);
      return await outcome;
    } finally {
      stopRenewing?.();
      this.blocks.delete(block);
      await this.slots.release(held);
    }
  }

  private async passIn(scope: RunScope | undefined, request: SlotRequest): Promise<void> {
    const { flowRun = null, taskRun = null, replay, services } = scope?.place ?? {};
    const key = flowRun && !taskRun ? (scope?.branch.keyOfValue('rate') ?? null) : null;
    if (key !== null && replay?.values.get(key) !== undefined) return;
    const letGo = replay?.holdOff();
    await this.slots.acquire(request).finally(letGo);
    if (flowRun && key !== null) services?.keepValue(flowRun, key, PASSED);
  }

  /** What earlier ids of this process held was free when they were fenced. */
  private loseOfEarlierIds(): void {
    for (const block of this.blocks) if (block.held.processId !== this.process.processId) this.lose(block);
  }

  private lose(block: HeldBlock): void {
    if (!block.lose()) return;
    const names = block.limits.map((name) => `"${name}"`).join(', ');
    this.logger.warn(`Slots of ${names} were lost while code held them; others may have them by now.`);
  }

  private keepRenewing(block: HeldBlock, leaseMs: number): () => void {
    const { claimId } = block.held;
    let stop = (): void => undefined;
    let isOver = false;
    const renewIn = (ms: number): void => {
      if (!isOver) stop = callAfter(ms, () => void renew());
    };
    const renew = async (): Promise<void> => {
      try {
        const isRenewed = await this.transactions.single((tx) => this.claims.renew(tx, claimId, leaseMs));
        if (isRenewed) renewIn(leaseMs * RENEW_AFTER);
        else if (!isOver) this.lose(block);
      } catch (error) {
        this.logger.warn(`A lease of slots could not be renewed yet: ${String(error)}`);
        renewIn(Math.min(RENEW_AGAIN_MS, leaseMs / 8));
      }
    };
    renewIn(leaseMs * RENEW_AFTER);
    return () => {
      isOver = true;
      stop();
    };
  }
}
