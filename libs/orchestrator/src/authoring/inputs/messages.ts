import { durationMs, type Duration } from '@nestor/core';
import { NoCurrentRunError } from '../../runtime/engine/engine-errors.js';
import { quietOnceOver } from '../../runtime/engine/in-attempt.js';
import { currentScope, type RunScope } from '../../runtime/engine/run-scope.js';
import { InputSenderUnknownError, InputTimeoutError, NotInFlowBodyError } from '../../runtime/inputs/input-errors.js';
import {
  keyPrefixOfType,
  runOfSender,
  type ArrivedInput,
  type ExpectedInput,
  type SendInputOptions,
} from '../../runtime/inputs/run-input.js';
import { assertInputType, inputOfType, type InputOf, type InputType } from './input-type.js';

/** Which inputs a flow waits for. */
export interface ReceiveInputOptions {
  /** How long it waits; the same deadline holds when the run begins again. Default `'1h'`. */
  readonly timeout?: Duration;
  /** Only inputs that were sent with it. Default: that of the type, see `sendInput`. */
  readonly keyPrefix?: string;
  /** Those of another run, which are left there for it. Default: those of the run itself. */
  readonly flowRunId?: string;
}

/** An input, and where it came from. */
export interface ReceivedInput<Value> {
  readonly value: Value;
  readonly key: string;
  /** `prefect.flow-run.<id>` of a run; `null` when nobody said. */
  readonly sender: string | null;
  readonly sentAt: Date;
  /**
   * Sends the run that sent the input another one.
   *
   * @throws {InputSenderUnknownError} when no flow run sent it.
   */
  respond(value: unknown, options?: SendInputOptions): Promise<void>;
}

/**
 * Sends a flow run an input, for which it waits with {@link receiveInput}. A run sends it once, also when it begins again.
 * Elsewhere than in a run, inject `RunInputs`.
 *
 * @param value what JSON can hold; instances become their fields.
 * @throws {FlowRunNotFoundError} when there is no run of that id.
 * @throws {UnserialisableValueError} when the value has no form in JSON.
 * @throws {NoCurrentRunError} outside any run.
 */
export function sendInput(flowRunId: string, value: unknown, options: SendInputOptions = {}): Promise<void> {
  const scope = currentScope();
  if (!scope) return Promise.reject(new NoCurrentRunError());
  return quietOnceOver(scope.attempt, scope.place.services.send(flowRunId, value, options));
}

/**
 * The next input of a type that was sent to the run, once it is there. Each is received once, in the order in which they
 * came; a run that begins again receives the same at the same places.
 *
 * @example
 * ```ts
 * const question = await receiveInput(Question, { withMetadata: true, timeout: '10m' });
 * await question.respond(new Answer(42));
 * ```
 * @throws {InputTimeoutError} when none comes within `timeout`.
 * @throws {InvalidRunInputError} when what came does not fit the type; it counts as received.
 * @throws {NotInFlowBodyError} outside the method of a flow.
 */
export function receiveInput<Type extends InputType>(
  type: Type,
  options: ReceiveInputOptions & { readonly withMetadata: true },
): Promise<ReceivedInput<InputOf<Type>>>;
export function receiveInput<Type extends InputType>(
  type: Type,
  options?: ReceiveInputOptions & { readonly withMetadata?: false },
): Promise<InputOf<Type>>;
export function receiveInput(
  type: InputType,
  options: ReceiveInputOptions & { readonly withMetadata?: boolean } = {},
): Promise<unknown> {
  return quietOnceOver(currentScope()?.attempt, received(type, options));
}

async function received(
  type: InputType,
  options: ReceiveInputOptions & { readonly withMetadata?: boolean },
): Promise<unknown> {
  const scope = flowScope('receiveInput');
  const expected = expectedInput(type, options);
  const next = await nextOf(scope, type, expected);
  if (!next) {
    throw new InputTimeoutError(expected.flowRunId ?? scope.flowRun?.created.id ?? '', expected.keyPrefix);
  }
  return options.withMetadata ? next : next.value;
}

/**
 * The inputs of a type that are sent to the run, one after another; it ends when none comes within `timeout` of the one before.
 *
 * @example
 * ```ts
 * for await (const { value, respond } of receiveInputs(Question, { timeout: '1m' })) await respond(answerTo(value));
 * ```
 * @throws what {@link receiveInput} throws, but for the time-out.
 */
export async function* receiveInputs<Type extends InputType>(
  type: Type,
  options: ReceiveInputOptions = {},
): AsyncGenerator<ReceivedInput<InputOf<Type>>, void, undefined> {
  const scope = flowScope('receiveInputs');
  const expected = expectedInput(type, options);
  for (;;) {
    const received = await nextOf(scope, type, expected);
    if (!received) return;
    yield received;
  }
}

function flowScope(call: string): RunScope {
  const scope = currentScope();
  if (!scope) throw new NotInFlowBodyError(call);
  return scope;
}

function expectedInput(type: InputType, { timeout = '1h', keyPrefix, flowRunId }: ReceiveInputOptions): ExpectedInput {
  assertInputType(type, 'receiveInput()');
  return {
    keyPrefix: keyPrefix ?? keyPrefixOfType(type),
    flowRunId: flowRunId ?? null,
    timeoutMs: durationMs(timeout, 'timeout of receiveInput'),
  };
}

async function nextOf<Type extends InputType>(
  scope: RunScope,
  type: Type,
  expected: ExpectedInput,
): Promise<ReceivedInput<InputOf<Type>> | null> {
  const { services, flowRun } = scope.place;
  const arrived = await services.receive(scope, expected);
  if (!arrived) return null;
  const { key, sender, sentAt } = arrived;
  return {
    ...{ key, sender, sentAt },
    value: await inputOfType(type, arrived.value, flowRun?.created.id ?? ''),
    respond: (value, options) => respond(arrived, value, options),
  };
}

async function respond({ sender }: ArrivedInput, value: unknown, options?: SendInputOptions): Promise<void> {
  const run = runOfSender(sender);
  if (run === null) throw new InputSenderUnknownError(sender);
  return sendInput(run, value, options);
}
