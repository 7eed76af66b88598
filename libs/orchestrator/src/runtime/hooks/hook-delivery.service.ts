import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import { newFlowRunOfRow } from '../../records/flow-runs/flow-run-rows.js';
import { FlowRunsRepository } from '../../records/flow-runs/flow-runs.repository.js';
import { OwedHooksRepository, type ClaimedHooks } from '../../records/owed-hooks/owed-hooks.repository.js';
import { TaskRunsRepository } from '../../records/task-runs/task-runs.repository.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { Loops } from '../loops/loops.service.js';
import { WakeableLoop, type NextRound, type Rest } from '../loops/wakeable-loop.js';
import { Notifier } from '../notifications/notifier.service.js';
import { whenTold } from '../notifications/when-told.js';
import { FlowRegistry } from '../registry/flow-registry.js';
import { hookedFlowRun, hookedTaskRun, type HookCall } from './hook-call.js';
import { HookCaller } from './hook-caller.service.js';
import { SettledHooks } from './settled-hooks.service.js';
import { SERVICE_SETTINGS, type ServiceSettings } from '../services/service-settings.js';

/** How many states have their hooks called at a time. */
const MOST_UNDER_WAY = 50;
/** Hooks that nobody told of, and those of processes that died, are found after this long at the latest. */
const EVERY_MS = 10_000;
const AFTER_FAILURE_MS = 1_000;
/** While as many are under way as may be. */
const WHILE_FULL_MS = 500;

/**
 * Calls hooks that nobody has called: those of processes that died between a state and its hooks, and those of runs that were
 * ended by somebody who does not execute them. Only of flows and tasks that are registered here, and of this application.
 */
@Injectable()
export class HookDelivery implements OnApplicationBootstrap {
  private readonly logger = new Logger(HookDelivery.name);
  private readonly loop = new WakeableLoop('Calling hooks', this.logger, () => this.round(), AFTER_FAILURE_MS);
  private readonly rest: Rest = {
    everyMs: EVERY_MS,
    looks: () => [this.owedHooks.lookForAny(this.claimOf(MOST_UNDER_WAY))],
  };
  /** The states whose hooks were claimed. */
  private readonly underWay = new Set<string>();

  constructor(
    private readonly registry: FlowRegistry,
    private readonly owedHooks: OwedHooksRepository,
    private readonly flowRuns: FlowRunsRepository,
    private readonly taskRuns: TaskRunsRepository,
    private readonly transactions: Transactions,
    private readonly caller: HookCaller,
    private readonly settled: SettledHooks,
    private readonly process: ProcessLease,
    private readonly notifier: Notifier,
    private readonly loops: Loops,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
    @Inject(SERVICE_SETTINGS) private readonly services: ServiceSettings,
  ) {}

  onApplicationBootstrap(): void {
    if (!this.services.has('hooks')) return;
    const { flowIds, taskKeys } = this.callable();
    if (flowIds.length + taskKeys.length === 0) return;
    this.process.listen(whenTold('hooks', () => this.loop.wake()));
    this.loops.start('hooks', this.loop);
  }

  /** Looks right away, here and elsewhere. */
  announce(): void {
    this.loop.wake();
    this.notifier.notify('hooks');
  }

  /** Begins nothing more. */
  stop(): Promise<void> {
    return this.loop.stop();
  }

  private async round(): Promise<NextRound> {
    const limit = MOST_UNDER_WAY - this.underWay.size;
    if (limit <= 0) return WHILE_FULL_MS;
    const claimed = await this.transactions.single((tx) => this.owedHooks.claim(tx, this.claimOf(limit)));
    for (const owed of claimed) void this.deliver(owed);
    return claimed.length === limit ? WHILE_FULL_MS : { pauseMs: EVERY_MS, rest: this.rest };
  }

  private claimOf(limit: number): Parameters<OwedHooksRepository['claim']>[1] {
    return {
      ...this.callable(),
      processId: this.process.processId,
      app: this.settings.app,
      underWay: [...this.underWay, ...this.caller.paying],
      limit,
    };
  }

  /** The flows may be asked for by somebody who does not know whether they have hooks. */
  private callable(): { readonly flowIds: readonly string[]; readonly taskKeys: readonly string[] } {
    return { flowIds: this.registry.allFlowIds(), taskKeys: this.registry.keysOfHookedTasks() };
  }

  private async deliver(owed: ClaimedHooks): Promise<void> {
    const { stateId } = owed;
    this.underWay.add(stateId);
    try {
      const call = owed.flowId === null ? await this.ofTaskRun(owed) : await this.ofFlowRun(owed, owed.flowId);
      if (call) await this.caller.pay(call);
      else await this.settled.add(stateId); // its run has gone on since
    } catch (error) {
      this.logger.warn(`The hooks of run ${owed.runId} are called later: ${String(error)}`);
    } finally {
      this.underWay.delete(stateId);
    }
  }

  private async ofFlowRun({ stateId, runId }: ClaimedHooks, flowId: string): Promise<HookCall | null> {
    const definition = this.registry.findFlowById(flowId);
    const found = await this.flowRuns.loadRow(runId);
    const state = found?.run.state;
    if (!definition || !found || state?.id !== stateId) return null;
    const { row } = found;
    const run = hookedFlowRun(row, row.runCount, definition);
    const receiver = (): Promise<object> => definition.receiver({ created: newFlowRunOfRow(row) });
    return { definition, receiver, run, state, args: row.parameters, outcome: row.result };
  }

  private async ofTaskRun(owed: ClaimedHooks): Promise<HookCall | null> {
    const definition = owed.taskKey === null ? undefined : this.registry.findTask(owed.taskKey);
    const row = await this.taskRuns.find(owed.runId);
    const [loaded] = await this.taskRuns.load([owed.runId]);
    const state = loaded?.run.state;
    if (!definition || !row || state?.id !== owed.stateId) return null;
    const run = hookedTaskRun(row, row.runCount, definition);
    const receiver = async (): Promise<object> => {
      const flowRun = row.flowRunId === null ? null : await this.flowRuns.find(row.flowRunId);
      return definition.receiver(flowRun && { created: newFlowRunOfRow(flowRun) });
    };
    return { definition, receiver, run, state, args: owed.arguments, outcome: row.result };
  }
}
