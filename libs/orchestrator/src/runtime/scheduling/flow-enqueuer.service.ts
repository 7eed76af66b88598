import { Injectable } from '@nestjs/common';
import { idOfCall } from '../engine/id-of-call.js';
import { parametersOf } from '../engine/parameters.js';
import { currentScope } from '../engine/run-scope.js';
import { tagsInScope, unionOf } from '../engine/scoped-tags.js';
import { Payloads } from '../payloads/payloads.service.js';
import type { FlowDefinition } from '../registry/definitions.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { QueueIds, type WaitingPlace } from '../work-pools/queue-ids.service.js';
import type { EnqueueRequest } from './enqueue-options.js';
import { SharedRuns } from './shared-runs.service.js';
import { ScheduledRuns, type ScheduledRun, type ScheduledRunRequest } from './scheduled-runs.service.js';

/** Makes waiting runs of calls. */
@Injectable()
export class FlowEnqueuer {
  constructor(
    private readonly runs: ScheduledRuns,
    private readonly shared: SharedRuns,
    private readonly queueIds: QueueIds,
    private readonly payloads: Payloads,
    private readonly clock: DatabaseClock,
  ) {}

  /**
   * Creates a waiting run of a flow; durable when this resolves.
   *
   * A run that enqueues another one and goes on after a crash enqueues it once: its id follows from the call.
   *
   * @throws {UnserialisableValueError} when the arguments cannot be kept.
   * @throws {RunEndedError} when the attempt that asks is over.
   * @throws {WorkPoolNotFoundError} when there is no such pool.
   */
  async enqueue(definition: FlowDefinition, args: readonly unknown[], request: EnqueueRequest): Promise<ScheduledRun> {
    const flow = this.runs.flowOf(definition);
    const asked = this.requestOf(definition, args, request);
    const one = placed(asked, await this.placeOf(request));
    if (request.transaction) {
      return (await this.runs.createAllWithin(request.transaction, flow, [one]))[0]!;
    }
    return request.sharing ? this.shared.create(flow, one, request.sharing) : this.runs.create(flow, one);
  }

  /** The same for many calls, a thousand in a statement. */
  async enqueueAll(
    definition: FlowDefinition,
    calls: readonly (readonly unknown[])[],
    request: EnqueueRequest,
  ): Promise<ScheduledRun[]> {
    const flow = this.runs.flowOf(definition);
    const asked = calls.map((args) => this.requestOf(definition, args, request));
    const place = await this.placeOf(request);
    const all = asked.map((run) => placed(run, place));
    if (request.transaction) return this.runs.createAllWithin(request.transaction, flow, all);
    return request.sharing ? this.shared.createAll(flow, all, request.sharing) : this.runs.createAll(flow, all);
  }

  private requestOf(
    definition: FlowDefinition,
    args: readonly unknown[],
    { name, tags, idempotencyKey, priority, fairShare, dueAt }: EnqueueRequest,
  ): ScheduledRunRequest {
    const scope = currentScope();
    scope?.attempt.assertLive();
    const given = name ?? definition.runName?.(args);
    return {
      id: idOfCall(`enqueue:${definition.name}`, args, this.payloads.classes),
      ...(given !== undefined && { name: given }),
      parameters: parametersOf(args, this.payloads.classes),
      tags: unionOf(definition.tags, tags ?? [], tagsInScope()),
      scheduledTime: dueAt(this.clock.now()),
      origin: { idempotencyKey, priority, fairShare },
    };
  }

  private async placeOf({ workPool, workQueue }: EnqueueRequest): Promise<WaitingPlace | null> {
    return workPool === null ? null : this.queueIds.placeIn(workPool, workQueue);
  }
}

function placed(run: ScheduledRunRequest, place: WaitingPlace | null): ScheduledRunRequest {
  return place ? { ...run, origin: { ...run.origin, ...place } } : run;
}
