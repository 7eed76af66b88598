import { OrchestratorError, StateType } from '@nestor/core';
import { Injectable } from '@nestjs/common';
import type { FlowRunEntity } from '../../records/flow-runs/flow-run.entity.js';
import { FlowRunNotFoundError } from '../../records/flow-runs/flow-run-not-found.error.js';
import { FlowRunsRepository } from '../../records/flow-runs/flow-runs.repository.js';
import { FlowsRepository } from '../../records/flows/flows.repository.js';
import { OrchestratorEngine } from '../engine/orchestrator-engine.js';
import { argumentsOf, callWithParameters } from '../engine/parameters.js';
import { RunLease } from '../leases/run-lease.js';
import { Payloads } from '../payloads/payloads.service.js';
import { RunParameters } from '../references/run-parameters.service.js';
import type { FlowDefinition, ProviderClass } from '../registry/definitions.js';
import { FlowRegistry } from '../registry/flow-registry.js';
import { FlowNotRegisteredError } from '../registry/registry-errors.js';
import type { RecordedCall } from '../replay/recorded-call.js';
import { Replays } from '../replay/replays.service.js';
import type { LiveFlowRun } from '../transitions/live-run.js';
import { Journal } from '../transitions/journal.js';
import { describeEnd, excerptOf, isSameEnd } from './differences.js';
import { callKey, type BodyEnd, type Rehearsal } from './rehearse.js';
import { Rehearsals, uptoForgotten } from './rehearsals.service.js';
import type { RecordedRunCall, RecordedValue, ReplayReport, RunRecording } from './run-recording.js';

/** What was given as a recording is none that this version understands. */
export class InvalidRecordingError extends OrchestratorError {
  readonly code = 'INVALID_RECORDING';
}

/**
 * Takes what is recorded of a run out of the database, and lets code begin again from it: so that a change of a flow is tried
 * on runs that really happened, before runs in flight meet it.
 *
 * @example
 * ```ts
 * await writeFile('order-4711.json', JSON.stringify(await recordings.export(flowRunId), null, 2));
 * ```
 */
@Injectable()
export class RunRecordings {
  constructor(
    private readonly flowRuns: FlowRunsRepository,
    private readonly flows: FlowsRepository,
    private readonly replays: Replays,
    private readonly payloads: Payloads,
    private readonly parameters: RunParameters,
    private readonly journal: Journal,
    private readonly registry: FlowRegistry,
    private readonly engine: OrchestratorEngine,
    private readonly rehearsals: Rehearsals,
  ) {}

  /**
   * What is recorded of a run: one that has ended, or one in flight as it stands. Of a run that was tried again it is the last
   * attempt. Subflows are calls like others; each has its own recording.
   *
   * The contents of encrypted payloads are in the clear. Look at a recording before you share it.
   *
   * @throws {FlowRunNotFoundError} when there is no run of that id.
   * @throws the errors with codes `PAYLOAD_…` when something of it cannot be read in this process.
   */
  async export(flowRunId: string): Promise<RunRecording> {
    await this.journal.settled();
    const row = await this.flowRuns.find(flowRunId);
    if (!row) throw new FlowRunNotFoundError(flowRunId);
    const { id, name, buildId } = row;
    const recorded = await this.replays.recordedBy(id, row.runCount);
    // What a task called belongs to the task: code of flows alone is tried.
    const { ended, forgotten } = uptoForgotten(
      recorded.ended.filter(({ created }) => created.parentTaskRunId === null),
    );
    const open = recorded.open.filter(({ parentTaskRunId }) => parentTaskRunId === null);
    const [flow] = await this.flows.findByIds([row.flowId]);
    return {
      format: 1,
      flow: flow?.name ?? row.flowId,
      run: { id, name, attempt: row.runCount, buildId },
      parameters: await this.data(row.parameters),
      values: Object.fromEntries([...recorded.values].map(([key, text]) => [key, JSON.parse(text) as RecordedValue])),
      calls: [
        ...(await Promise.all(ended.map((call) => this.recordedCall(call)))),
        ...[...forgotten, ...open].map(({ taskKey, dynamicKey, name }) => openCall(taskKey, dynamicKey, name)),
      ],
      outcome: await this.outcomeOf(row),
    };
  }

  /**
   * Runs today's code of a flow with recorded outcomes alone: no task and no subflow is executed, no run is created, nothing is
   * written. What the method does besides calling those is done. Blocks that its parameters refer to are loaded from this
   * database.
   *
   * @param recording what {@link export} gave, also after a way through a file.
   * @param flow the class and the method, where the flow goes by another name today. Default: the flow of the recorded name.
   * @throws {FlowNotRegisteredError} when there is no such flow in this application.
   * @throws {InvalidRecordingError} when the recording is none.
   * @throws {BlockNotFoundError} and the others as `Blocks.load` does, when a block is not to be had.
   */
  async replay(recording: RunRecording, flow?: readonly [ProviderClass, string]): Promise<ReplayReport> {
    if ((recording as { format?: unknown }).format !== 1)
      throw new InvalidRecordingError(`The recording has not format 1; export it with RunRecordings.export().`);
    const definition = flow ? this.registry.getFlow(...flow) : this.flowNamed(recording.flow);
    const parameters = JSON.stringify(recording.parameters);
    const live = liveRunOf(recording, parameters, definition, this.registry.flowId(definition.name));
    // As an attempt gets them: what is recorded of blocks is that they are referred to.
    const given = (): Promise<Record<string, unknown>> =>
      this.parameters.opened(this.payloads.decode(parameters) as Record<string, unknown>);
    const opened = await given();
    const receiver = await definition.receiver(live);
    const ended = recording.calls.filter(({ outcome }) => outcome !== 'open').map((call) => callOf(call, live));
    const open = recording.calls.filter(({ outcome }) => outcome === 'open');
    const rehearsal = await this.rehearsals.rehearse(
      {
        live,
        flowName: definition.name,
        parameters: opened,
        engine: this.engine,
        persistResults: true,
        perform: async (within) => callWithParameters(definition, receiver, argumentsOf(await given()), within),
      },
      {
        ended,
        open: new Set(open.map(({ task, key }) => callKey({ taskKey: task, dynamicKey: key }))),
        values: new Map(Object.entries(recording.values).map(([key, value]) => [key, JSON.stringify(value)])),
        toItsEnd: true,
      },
    );
    return this.report(recording, rehearsal);
  }

  private report({ flow, outcome }: RunRecording, { held, missing, end }: Rehearsal): ReplayReport {
    // A run in flight goes on behind what is recorded of it.
    const added = held.filter(({ isKnown }) => !isKnown);
    const unexpected = outcome === null && missing.length === 0 ? [] : added;
    const newCalls = unexpected.map(({ taskKey, args }) => ({ task: taskKey, inputs: excerptOf(args), name: null }));
    const missingCalls = missing.map(({ created: { taskKey, name } }) => ({ task: taskKey, inputs: null, name }));
    const before = outcome && this.endOf(outcome);
    const now = end && this.rehearsals.asRecorded(end);
    const isSame = before && now ? isSameEnd(before, now) : null;
    const differences = [
      ...newCalls.map(({ task, inputs }) => `"${task}" is called with ${inputs}, which is not recorded.`),
      ...missingCalls.map(({ task, name }) => `"${task}" is not called where ${name} is recorded.`),
      ...(before && now && !isSame ? [`The flow ${describeEnd(now)}, where it ${describeEnd(before)}.`] : []),
      ...(before && !now && held.length + missingCalls.length === 0
        ? [`The flow does not end, where it ${describeEnd(before)}.`]
        : []),
    ];
    return {
      flow,
      newCalls,
      missingCalls,
      outcome: isSame === null ? 'open' : isSame ? 'same' : 'different',
      differences,
    };
  }

  private endOf({ kind, value }: NonNullable<RunRecording['outcome']>): BodyEnd {
    const decoded = this.payloads.decode(JSON.stringify(value));
    return kind === 'returned' ? { kind, value: decoded } : { kind, error: decoded };
  }

  private async recordedCall(call: RecordedCall): Promise<RecordedRunCall> {
    const { taskKey, dynamicKey, name } = call.created;
    const value = call.kind === 'unfinished' || call.result === null ? null : await this.data(call.result);
    const outcome = call.kind === 'completed' ? 'completed' : 'failed';
    return { task: taskKey, key: dynamicKey, name, outcome, value, isOfThisAttempt: call.isOfThisAttempt };
  }

  private async outcomeOf({ stateType, result }: FlowRunEntity): Promise<RunRecording['outcome']> {
    if (result === null) return null;
    if (stateType === StateType.Completed) return { kind: 'returned', value: await this.data(result) };
    return stateType === StateType.Failed ? { kind: 'threw', value: await this.data(result) } : null;
  }

  private async data(stored: string): Promise<RecordedValue> {
    return JSON.parse(await this.payloads.open(stored)) as RecordedValue;
  }

  private flowNamed(name: string): FlowDefinition {
    const flows = this.registry.flows();
    const found = flows.find((flow) => flow.name === name);
    if (!found)
      throw new FlowNotRegisteredError(
        name,
        flows.map((flow) => flow.name),
      );
    return found;
  }
}

function openCall(task: string, key: string, name: string): RecordedRunCall {
  return { task, key, name, outcome: 'open', value: null, isOfThisAttempt: true };
}

function callOf(
  { task, key, name, outcome, value, isOfThisAttempt }: RecordedRunCall,
  live: LiveFlowRun,
): RecordedCall {
  return {
    created: {
      id: `${task} ${key}`,
      flowRunId: live.created.id,
      parentTaskRunId: null,
      name,
      taskKey: task,
      dynamicKey: key,
      tags: [],
      taskVersion: null,
      inputs: null,
    },
    kind: outcome === 'completed' ? 'completed' : 'failed',
    result: JSON.stringify(value),
    isOfThisAttempt,
  };
}

/** The run as its code sees it; nobody executes it, and nothing of it is written. */
function liveRunOf({ run }: RunRecording, parameters: string, definition: FlowDefinition, flowId: string): LiveFlowRun {
  const { id, name, attempt, buildId } = run;
  const times = { expectedStartTime: null, nextScheduledStartTime: null, startTime: null, endTime: null };
  return {
    created: {
      ...{ id, name, flowId, parameters, buildId, app: '', rootFlowRunId: id, parentTaskRunId: null },
      ...{ tags: definition.tags, flowVersion: definition.version, encodingVersion: 1, isLeased: false },
    },
    image: {
      ...{ kind: 'flow-run', id, parentTaskRunId: null, deploymentId: null, infrastructurePid: null, state: null },
      ...{ runCount: attempt, totalRunTimeUs: 0, ...times },
      policy: {
        ...{ ...definition.policy, resuming: false, pauseKeys: [], retryType: null, recoveries: 0, maxRecoveries: 0 },
      },
    },
    settling: Promise.resolve(),
    lease: new RunLease(id, 0),
  };
}
