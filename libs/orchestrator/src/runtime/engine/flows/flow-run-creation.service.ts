import { encodingVersion, pending } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { newId } from '../../../persistence/ids.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../../engine-settings.js';
import { Payloads } from '../../payloads/payloads.service.js';
import type { FlowDefinition } from '../../registry/definitions.js';
import { FlowRegistry } from '../../registry/flow-registry.js';
import type { LiveFlowRun } from '../../transitions/live-run.js';
import { TransitionService } from '../../transitions/transition.service.js';
import { flowRunPolicyOf } from '../flow-run-policy.js';
import type { NewRunOptions } from '../new-run-options.js';
import { parametersOf } from '../parameters.js';
import { nameOfRun } from '../run-names.js';
import { tagsInScope, unionOf } from '../scoped-tags.js';
import { subflowId, type SubflowCall } from './flow-execution.js';

/** Creates the runs of flows that are called, or started, in this process. */
@Injectable()
export class FlowRunCreation {
  constructor(
    private readonly registry: FlowRegistry,
    private readonly transitions: TransitionService,
    private readonly payloads: Payloads,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  /** Creates a run in `PENDING`; it is durable, and will not be lost, when this resolves. */
  async create(
    definition: FlowDefinition,
    args: readonly unknown[],
    options: NewRunOptions = {},
    call?: SubflowCall,
  ): Promise<LiveFlowRun> {
    const subject = `parameters of flow "${definition.name}"`;
    const encoded = this.payloads.encode(parametersOf(args, this.payloads.classes), subject);
    const id = call ? subflowId(call) : newId();
    const sealed = this.payloads.seal(encoded, { runId: id, subject });
    const parameters = typeof sealed === 'string' ? sealed : await sealed;
    const root = call?.caller.flowRun ?? null;
    const buildId = this.settings.buildId ?? this.registry.fingerprint;
    return this.transitions.createFlowRun(
      {
        id,
        flowId: this.registry.flowId(definition.name),
        app: this.settings.app,
        rootFlowRunId: root?.created.rootFlowRunId ?? id,
        parentTaskRunId: call?.trackingTask.created.id ?? null,
        name: options.name ?? definition.runName?.(args) ?? nameOfRun(id),
        parameters,
        tags: unionOf(definition.tags, options.tags ?? [], tagsInScope()),
        flowVersion: definition.version,
        buildId,
        ...(definition.pinToBuild && root === null && { pinnedBuildId: buildId }),
        encodingVersion,
        isLeased: root === null,
      },
      flowRunPolicyOf(definition, this.settings.maxRecoveries),
      pending(),
      root?.lease ?? null,
    );
  }
}
