import { OrchestratorError, StateType } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import { FlowRunClaimsRepository } from '../../records/flow-runs/flow-run-claims.repository.js';
import { FlowRunsRepository } from '../../records/flow-runs/flow-runs.repository.js';
import { OrchestratorEngine } from '../engine/orchestrator-engine.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { ProcessAbilities } from '../leases/process-abilities.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import type { HandedLease } from './base-worker.js';

/** A run that was handed over is not to be had: it was taken before, or taken back, or somebody ended it. */
export class RunNotHandedOverError extends OrchestratorError {
  readonly code = 'RUN_NOT_HANDED_OVER';

  constructor(readonly flowRunId: string) {
    super(
      `Flow run ${flowRunId} cannot be taken over: another process has it, or its worker took it back, or it has ended. End this ` +
        `process; nothing is to be done here.`,
    );
  }
}

/** Executes runs that a worker of another process has handed to this one: see {@link BaseWorker}. */
@Injectable()
export class HandedOverRuns {
  constructor(
    private readonly engine: OrchestratorEngine,
    private readonly claims: FlowRunClaimsRepository,
    private readonly flowRuns: FlowRunsRepository,
    private readonly transactions: Transactions,
    private readonly process: ProcessLease,
    private readonly abilities: ProcessAbilities,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  /**
   * Takes a run over and executes it, in an application that has its flow.
   *
   * @returns when it is no longer executed here: it has ended, or goes on elsewhere or later. Its state says which.
   * @throws {RunNotHandedOverError} when it is not to be had.
   */
  async execute({ flowRunId, epoch }: HandedLease): Promise<void> {
    const { buildId, pinnedFlowIds } = this.abilities;
    const claimant = { processId: this.process.processId, app: this.settings.app, buildId, pinnedFlowIds };
    const claimed = await this.transactions.single((tx) =>
      this.claims.takeSubmitted(tx, claimant, { flowRunId, epoch }),
    );
    if (!claimed) throw new RunNotHandedOverError(flowRunId);
    // Why it begins again is what it waited for before it was submitted.
    const history = await this.flowRuns.history(flowRunId);
    const waited = history.findLast(({ type }) => type === StateType.Scheduled) ?? claimed.state;
    await this.engine.executeClaimed(claimed, false, waited);
  }
}
