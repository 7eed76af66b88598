import { Injectable } from '@nestjs/common';
import { derivedId, isId, newId } from '../../persistence/ids.js';
import { Transactions } from '../../persistence/transactions.js';
import { FlowRunInputsRepository } from '../../records/flow-run-inputs/flow-run-inputs.repository.js';
import { FlowRunNotFoundError } from '../../records/flow-runs/flow-run-not-found.error.js';
import { FlowRunsRepository } from '../../records/flow-runs/flow-runs.repository.js';
import { currentScope, type RunScope } from '../engine/run-scope.js';
import { Payloads } from '../payloads/payloads.service.js';
import { Journal } from '../transitions/journal.js';
import { InputArrivals } from './input-arrivals.service.js';
import { RunInputNotFoundError } from './input-errors.js';
import { jsonValue } from './json-value.js';
import { keyPrefixOfType, senderName, type SendInputOptions } from './run-input.js';

/**
 * Tells flow runs something while they run, from anywhere: they wait for it with `receiveInput`.
 *
 * @example
 * ```ts
 * await this.inputs.send(runId, new Approval('Ada'));
 * ```
 */
@Injectable()
export class RunInputs {
  constructor(
    private readonly inputs: FlowRunInputsRepository,
    private readonly flowRuns: FlowRunsRepository,
    private readonly transactions: Transactions,
    private readonly payloads: Payloads,
    private readonly journal: Journal,
    private readonly arrivals: InputArrivals,
  ) {}

  /**
   * What a flow run keeps under a key, as JSON data: the schema and the description of what a pause asks for, which the details
   * of its state name (`runInputKeyset`), the answer, or a message.
   *
   * @throws {RunInputNotFoundError} when it keeps nothing there.
   */
  async get(flowRunId: string, key: string): Promise<unknown> {
    const stored = isId(flowRunId) ? await this.inputs.valueAt(flowRunId, key) : null;
    if (stored === null) throw new RunInputNotFoundError(flowRunId, key);
    return JSON.parse(await this.payloads.open(stored)) as unknown;
  }

  /**
   * Sends a flow run an input; durable when this resolves, and with the receiver well within a second. In a run it is sent once,
   * also when the run begins again: the same value, in the same place, to the same receiver is the same input.
   *
   * @param value what JSON can hold; instances become their fields.
   * @throws {FlowRunNotFoundError} when there is no run of that id.
   * @throws {UnserialisableValueError} when the value has no form in JSON.
   * @throws {RunEndedError} and its like when it is called in an attempt that is over.
   */
  async send(flowRunId: string, value: unknown, options: SendInputOptions = {}): Promise<void> {
    const subject = `input for flow run ${flowRunId}`;
    const json = jsonValue(value, subject);
    const { keyPrefix = keyPrefixOf(value), sender } = options;
    const scope = currentScope();
    scope?.attempt.assertLive();
    // Before anything is awaited: calls are told apart by the order in which they are made.
    const id = scope ? idWithin(scope, [flowRunId, keyPrefix, json]) : newId();
    const known = await this.journal.patiently(() => this.flowRuns.find(flowRunId));
    if (!known) throw new FlowRunNotFoundError(flowRunId);
    const stored = await this.payloads.seal(this.payloads.encode(json, subject), { runId: flowRunId, subject });
    const input = {
      ...{ flowRunId, id, key: `${keyPrefix}-${id}`, value: stored },
      sender: sender ?? (scope && senderOf(scope)) ?? null,
    };
    await this.journal.patiently(() => this.transactions.single((tx) => this.inputs.add(tx, input)));
    this.arrivals.announce(flowRunId);
  }
}

function keyPrefixOf(value: unknown): string {
  const type: unknown = value === null || value === undefined ? undefined : value.constructor;
  return keyPrefixOfType(typeof type === 'function' ? type : Object);
}

function idWithin({ place, branch }: RunScope, input: readonly unknown[]): string {
  const own = place.flowRun?.created.id ?? place.taskRun?.created.id ?? newId();
  return derivedId(own, branch.keyOf('input', input));
}

function senderOf({ flowRun }: RunScope): string | null {
  return flowRun && senderName(flowRun.created.id);
}
