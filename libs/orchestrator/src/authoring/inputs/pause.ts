import { durationMs, type Duration } from '@nestor/core';
import { quietOnceOver } from '../../runtime/engine/in-attempt.js';
import { currentScope } from '../../runtime/engine/run-scope.js';
import { NotInFlowBodyError } from '../../runtime/inputs/input-errors.js';
import type { PauseRequest } from '../../runtime/inputs/pause-request.js';
import { InvalidOptionError } from '../resolve-options.js';
import { inputOfType, inputSchema, type InitialInput, type InputOf, type InputType } from './input-type.js';

/** How a flow pauses itself. */
export interface PauseOptions {
  /** How late it may be resumed; after that it fails. Default of `pause`: `'1h'`; of `suspend`: no limit. */
  readonly timeout?: Duration;
  /**
   * Names the pause within its run: a pause of that name is made once, and gives the same answer wherever the run comes past it
   * again. Default: by its place in the run.
   */
  readonly key?: string;
}

/** How a flow pauses itself to be answered. */
export interface PauseInputOptions<Type extends InputType> extends PauseOptions {
  /** What is asked for: a class with decorators of class-validator, or `String`, `Number` or `Boolean`. */
  readonly input: Type;
  /** For people: what to decide on, and how. Markdown. */
  readonly description?: string;
  /** What fields are when the answer leaves them out; forms begin with them. */
  readonly initial?: InitialInput<Type>;
}

/**
 * Pauses the flow that calls it until somebody resumes the run (`RunControl.resume`): it keeps its place in memory, and tasks
 * that are called meanwhile wait. A run that begins again comes past pauses that it has been resumed from without stopping.
 *
 * @returns what was asked for, as it was answered.
 * @throws {PauseTimeoutError} when nobody resumes it within `timeout`; the run fails, whatever is done with this error.
 * @throws {NotInFlowBodyError} outside the method of a flow.
 * @throws {InvalidRunInputError} when the answer breaks a rule of the class that a JSON schema cannot say.
 */
export function pause(options?: PauseOptions): Promise<void>;
export function pause<Type extends InputType>(options: PauseInputOptions<Type>): Promise<InputOf<Type>>;
export function pause(options: PauseOptions | PauseInputOptions<InputType> = {}): Promise<unknown> {
  return quietOnceOver(currentScope()?.attempt, paused('pause', { timeout: '1h', ...options }));
}

/**
 * Suspends the flow that calls it until somebody resumes the run: once the tasks that are running have ended it leaves its
 * process. Resumed, it begins again from the top, in any process, gets what is recorded, and this call returns.
 *
 * @example
 * ```ts
 * const approval = await suspend({ input: Approval, description: 'Refund **order 7**?', initial: { amount: 30 } });
 * ```
 * @returns what was asked for, as it was answered.
 * @throws {RunControlRefusedError} in a subflow, whose caller waits for it.
 * @throws {NotInFlowBodyError} outside the method of a flow.
 * @throws {InvalidRunInputError} when the answer breaks a rule of the class that a JSON schema cannot say.
 */
export function suspend(options?: PauseOptions): Promise<void>;
export function suspend<Type extends InputType>(options: PauseInputOptions<Type>): Promise<InputOf<Type>>;
export function suspend(options: PauseOptions | PauseInputOptions<InputType> = {}): Promise<unknown> {
  return quietOnceOver(currentScope()?.attempt, paused('suspend', options));
}

async function paused(
  how: PauseRequest['how'],
  options: PauseOptions | PauseInputOptions<InputType>,
): Promise<unknown> {
  const scope = currentScope();
  if (!scope) throw new NotInFlowBodyError(how);
  const { timeout, key } = options;
  if (key !== undefined && !KEY.test(key)) throw new InvalidOptionError(`${how}()`, 'key', KEY_PROBLEM);
  return scope.place.services.pause(scope, {
    how,
    key: key ?? null,
    timeoutMs: timeout === undefined ? null : durationMs(timeout, `timeout of ${how}`),
    asked: 'input' in options ? asked(how, options) : null,
  });
}

/** It becomes part of the keys of inputs, which clients put into paths. */
const KEY = /^[\w.:-]{1,100}$/;
const KEY_PROBLEM = 'must have 1 to 100 letters, digits, or any of . : _ -';

function asked(how: string, { input, description, initial }: PauseInputOptions<InputType>): PauseRequest['asked'] {
  return {
    schema: inputSchema(input, initial, `${how}()`),
    description: description ?? null,
    take: (value, flowRunId) => inputOfType(input, value, flowRunId),
  };
}
