import { Injectable } from '@nestjs/common';
import { newId } from '../../persistence/ids.js';
import { Transactions, type Tx } from '../../persistence/transactions.js';
import { FlowRunClaimsRepository } from '../../records/flow-runs/flow-run-claims.repository.js';
import { InfrastructureRepository } from '../../records/infrastructure/infrastructure.repository.js';
import { ProcessesRepository } from '../../records/processes/processes.repository.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { Journal } from '../transitions/journal.js';
import { configurationOfJob } from './configuration-of-job.js';
import type { InfrastructureJob } from './infrastructure-job.js';

/**
 * What is kept of infrastructure: for people, and for whoever has to end it in the place of its worker. A database
 * that is away is waited for.
 */
@Injectable()
export class InfrastructureNotes {
  constructor(
    private readonly claims: FlowRunClaimsRepository,
    private readonly infrastructure: InfrastructureRepository,
    private readonly processes: ProcessesRepository,
    private readonly transactions: Transactions,
    private readonly journal: Journal,
    private readonly process: ProcessLease,
  ) {}

  /** What is said of the infrastructure of a run. */
  configurationOf({ live }: InfrastructureJob): Promise<Readonly<Record<string, unknown>>> {
    return this.journal.patiently(() => configurationOfJob(this.claims, live.created.id));
  }

  /** What outlives this process is noted besides, for others to end it when its run needs it no more. */
  async started({ live: { created, lease }, worker }: InfrastructureJob, identifier: string): Promise<void> {
    const { processId } = this.process;
    const started = { id: newId(), flowRunId: created.id, leaseEpoch: lease.epoch, type: worker.type, identifier };
    const noteOnRun = (tx: Tx): Promise<void> =>
      this.claims.noteInfrastructure(tx, created.id, lease.epoch, identifier);
    const noteByItself = (tx: Tx): Promise<void> => this.infrastructure.noteStarted(tx, { ...started, processId });
    await this.journal.patiently<unknown>(() =>
      worker.outlivesProcess
        ? this.transactions.together([noteOnRun, noteByItself])
        : this.transactions.single(noteOnRun),
    );
  }

  /** @param isGone otherwise nobody knows, and somebody is to end it once its run needs it no more. */
  async ended({ live: { created, lease }, worker, identifier }: InfrastructureJob, isGone: boolean): Promise<void> {
    if (!worker.outlivesProcess || identifier === null) return;
    await this.journal.patiently(() =>
      this.transactions.single((tx) =>
        isGone
          ? this.infrastructure.noteEnded(tx, created.id, lease.epoch)
          : this.infrastructure.letGo(tx, created.id, lease.epoch),
      ),
    );
  }

  /** What it had begun to write before it ended is written before anybody goes on with its run. */
  async fence({ live: { created, lease } }: InfrastructureJob): Promise<void> {
    const { processId } = this.process;
    await this.journal.patiently(() =>
      this.transactions.single((tx) => this.processes.fenceHolder(tx, created.id, lease.epoch + 1, processId)),
    );
  }
}
