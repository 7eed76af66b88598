import { Injectable } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import { DeploymentsRepository } from '../../records/deployments/deployments.repository.js';
import { FlowRunClaimsRepository, type ClaimedFlowRun } from '../../records/flow-runs/flow-run-claims.repository.js';
import { LeaseLostError } from '../leases/run-lease.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { Payloads } from '../payloads/payloads.service.js';
import { FlowRegistry } from '../registry/flow-registry.js';
import { Replays } from '../replay/replays.service.js';
import { Journal } from '../transitions/journal.js';
import type { LiveFlowRun } from '../transitions/live-run.js';
import { referencesIn } from './referring-data.js';
import { References, type TemplateContext } from './references.service.js';

type Parameters = Record<string, unknown>;

/**
 * What the code of runs is called with, where their parameters refer to something: those of runs of deployments
 * may, and of their forks.
 *
 * What a run of a schedule refers to is looked up when it begins, and kept with it then: so it is what holds at that time,
 * and the same when the run begins again. Blocks are loaded each time, and kept nowhere.
 */
@Injectable()
export class RunParameters {
  constructor(
    private readonly references: References,
    private readonly replays: Replays,
    private readonly payloads: Payloads,
    private readonly claims: FlowRunClaimsRepository,
    private readonly deployments: DeploymentsRepository,
    private readonly registry: FlowRegistry,
    private readonly transactions: Transactions,
    private readonly journal: Journal,
    private readonly process: ProcessLease,
  ) {}

  /**
   * A run that was claimed, with values in the place of references that can be kept; durable when this resolves.
   *
   * @throws what {@link References.settled} throws, {@link LeaseLostError} when somebody else has the run by now.
   */
  async settle(claimed: ClaimedFlowRun): Promise<ClaimedFlowRun> {
    const { created, run } = claimed;
    const known = (await this.replays.read(created.parameters)) as Parameters;
    const isOpen = referencesIn(known).some(({ reference }) => reference.content.kind !== 'block');
    if (!isOpen) return claimed;
    const context = await this.contextOf(created.flowId, run.deploymentId ?? null);
    const settled = await this.journal.patiently(() => this.references.settled(known, context));
    const subject = `parameters of flow run "${created.name}"`;
    const parameters = await this.payloads.seal(this.payloads.encode(settled, subject), { runId: created.id, subject });
    const held = { processId: this.process.processId, id: created.id, leaseEpoch: claimed.leaseEpoch };
    const isKept = await this.journal.patiently(() =>
      this.transactions.single((tx) => this.claims.keepParameters(tx, held, parameters)),
    );
    if (!isKept) throw new LeaseLostError(created.id);
    return { ...claimed, created: { ...created, parameters } };
  }

  /** What is recorded of the parameters of a run, decoded anew. */
  async recorded(live: LiveFlowRun): Promise<Parameters> {
    return (await this.replays.read(live.created.parameters)) as Parameters;
  }

  /**
   * What the code of a run is given for what is recorded.
   *
   * @throws what {@link References.opened} throws.
   */
  async opened(recorded: Parameters): Promise<Parameters> {
    if (referencesIn(recorded).length === 0) return recorded;
    return this.journal.patiently(() => this.references.opened(recorded));
  }

  private async contextOf(flowId: string, deploymentId: string | null): Promise<TemplateContext> {
    const found = deploymentId && (await this.journal.patiently(() => this.deployments.find(deploymentId)));
    const { id, name, version } = found || {};
    return { flow: { name: this.registry.getFlowById(flowId).name }, deployment: { id, name, version } };
  }
}
