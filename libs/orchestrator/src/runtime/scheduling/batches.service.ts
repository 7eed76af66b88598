import { addMs } from '@nestor/core';
import { Injectable } from '@nestjs/common';
import type { SharedRun } from '../../records/flow-runs/shared-runs.repository.js';
import { unionOf, tagsInScope } from '../engine/scoped-tags.js';
import { Payloads } from '../payloads/payloads.service.js';
import type { FlowDefinition } from '../registry/definitions.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import type { BatchRequest } from './batch-options.js';
import { ScheduledRuns, type ScheduledRun } from './scheduled-runs.service.js';
import { SharedRuns } from './shared-runs.service.js';

/** The place of a call in the run that was made of several. */
interface PlaceInBatch {
  readonly run: ScheduledRun;
  readonly index: number;
}

/** Puts calls together: a flow that takes a list is run once for many of them. */
@Injectable()
export class Batches {
  constructor(
    private readonly runs: ScheduledRuns,
    private readonly shared: SharedRuns,
    private readonly payloads: Payloads,
    private readonly clock: DatabaseClock,
  ) {}

  /**
   * Puts an item into the list with which the next run of a flow is called; durable when this resolves.
   *
   * @throws {UnserialisableValueError} when the item cannot be kept.
   */
  async add(definition: FlowDefinition, item: unknown, { size, withinMs, key }: BatchRequest): Promise<PlaceInBatch> {
    const flow = this.runs.flowOf(definition);
    const now = this.clock.now();
    const waiting = await this.runs.prepare(flow, {
      parameters: { 0: [item] },
      tags: unionOf(definition.tags, tagsInScope()),
      scheduledTime: size === 1 ? now : addMs(now, withinMs),
    });
    let index = 0;
    const { run } = await this.shared.share(flow, waiting, key, async (known) => {
      const items = known.isWaiting ? await this.itemsOf(known) : null;
      if (!items || items.length >= size) {
        index = 0;
        return { kind: 'replace' };
      }
      index = items.push(item) - 1;
      const subject = `parameters of flow "${flow.name}"`;
      const encoded = this.payloads.encode({ 0: items }, subject);
      const parameters = await this.payloads.seal(encoded, { runId: known.id, subject });
      return { kind: 'revise', dueAt: items.length === size ? this.clock.now() : null, parameters };
    });
    return { run, index };
  }

  private async itemsOf({ parameters }: SharedRun): Promise<unknown[]> {
    const known = (await this.payloads.read(parameters)) as { readonly 0: unknown[] };
    return known[0];
  }
}
