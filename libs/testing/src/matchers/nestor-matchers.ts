import { durationMs, excerptOf, StateType, type TaskRunView } from '@nestor/orchestrator';
import { isExpectedError, type ExpectedError } from './expected-error.js';
import { describeRun, hasEnded, runOnceDecided, type RunUnderTest, type Within } from './run-under-test.js';

/** What an assertion needs of the test framework. */
interface MatcherContext {
  readonly isNot?: boolean;
  readonly equals: (one: unknown, other: unknown) => boolean;
}

interface MatcherResult {
  readonly pass: boolean;
  readonly message: () => string;
}

/** How a call of a task is expected. */
export interface ExpectedCalls extends Within {
  /** How often, each attempt of one call being the same call; default at least once. */
  readonly times?: number;
  /** With these inputs, compared as `toEqual` does. Default: with any. */
  readonly args?: readonly unknown[];
}

/** What `expect(run)` can be asked, besides what it can be asked anyway. All of it has to be awaited. */
export interface NestorMatchers<R> {
  /** The run ends, and did what it was to do. */
  toHaveCompleted(options?: Within): Promise<R>;
  /** The run ends with a failure of its own, and with that error where one is given. */
  toHaveFailedWith(expected?: ExpectedError, options?: Within): Promise<R>;
  /** The run goes through these states, by name, and no others: `['Pending', 'Running', 'Completed']`. */
  toHaveStates(names: readonly string[], options?: Within): Promise<R>;
  /** The run itself calls that task: `Shop.charge`, or `flow:` and the name of a subflow. */
  toHaveCalledTask(taskKey: string, options?: ExpectedCalls): Promise<R>;
}

declare global {
  // Merged with what @types/jest declares, where that is used; nothing but a name elsewhere.
  // eslint-disable-next-line @typescript-eslint/no-namespace
  namespace jest {
    // eslint-disable-next-line @typescript-eslint/no-empty-object-type, @typescript-eslint/no-unused-vars
    interface Matchers<R, T = {}> extends NestorMatchers<R> {}
  }
}

/**
 * Assertions on flow runs, of orchestrators that {@link createTestingOrchestrator} has made and that are open. They take the
 * handle, a view or the id of a run, and wait for what is expected while the run goes on.
 *
 * @example
 * ```ts
 * expect.extend(nestorMatchers);
 *
 * const run = await nestor.flows.start(Shop, 'order', { sku: 'A-7' });
 * await expect(run).toHaveCompleted();
 * await expect(run).toHaveCalledTask('Shop.charge', { times: 1, args: ['A-7'] });
 * ```
 */
export const nestorMatchers = {
  async toHaveCompleted(this: MatcherContext, received: unknown, { within }: Within = {}): Promise<MatcherResult> {
    const found = await runOnceDecided(received, msOf(within), () => false);
    return result(found.run.stateType === StateType.Completed, found, 'to have completed');
  },

  async toHaveFailedWith(
    this: MatcherContext,
    received: unknown,
    expected?: ExpectedError,
    { within }: Within = {},
  ): Promise<MatcherResult> {
    const found = await runOnceDecided(received, msOf(within), () => false);
    const hasFailed = found.run.stateType === StateType.Failed;
    const error = hasFailed ? await errorOf(found) : undefined;
    const isExpected =
      expected === undefined || isExpectedError(error, expected, (one, other) => this.equals(one, other));
    const wanted = expected === undefined ? 'to have failed' : `to have failed with ${shown(expected)}`;
    return result(hasFailed && isExpected, found, wanted, hasFailed ? `It failed with ${String(error)}.` : undefined);
  },

  async toHaveStates(
    this: MatcherContext,
    received: unknown,
    names: readonly string[],
    { within }: Within = {},
  ): Promise<MatcherResult> {
    const isAsExpected = ({ run }: RunUnderTest): boolean =>
      this.equals(
        run.states.map(({ name }) => name),
        [...names],
      );
    const found = await runOnceDecided(received, msOf(within), (now) => !this.isNot && isAsExpected(now));
    return result(isAsExpected(found), found, `to have gone through ${names.join(' → ')}`);
  },

  async toHaveCalledTask(
    this: MatcherContext,
    received: unknown,
    taskKey: string,
    { times, args, within }: ExpectedCalls = {},
  ): Promise<MatcherResult> {
    const matching = ({ nestor, run, tasks }: RunUnderTest): TaskRunView[] =>
      tasks.filter(
        (task) =>
          task.taskKey === taskKey && (args === undefined || this.equals(nestor.calls.find(run.id, task), [...args])),
      );
    const isAsExpected = (found: RunUnderTest): boolean =>
      times === undefined ? matching(found).length > 0 : matching(found).length === times;
    // A further call may still come: a number is final when the run has ended.
    const isDecided = (now: RunUnderTest): boolean => !this.isNot && times === undefined && isAsExpected(now);
    const found = await runOnceDecided(received, msOf(within), isDecided);
    const wanted = `to have called "${taskKey}"${args ? ` with ${excerptOf(args)}` : ''}${times === undefined ? '' : ` ${times} time(s)`}`;
    const calls = found.tasks.filter((task) => task.taskKey === taskKey);
    const made = calls.map((task) => excerptOf(found.nestor.calls.find(found.run.id, task) ?? []));
    const keys = [...new Set(found.tasks.map((task) => task.taskKey))].join(', ');
    const detail =
      made.length > 0
        ? `It was called ${made.length} time(s): ${made.join(', ')}.`
        : `It has called: ${keys || 'nothing'}.`;
    return result(isAsExpected(found), found, wanted, detail);
  },
};

function result(pass: boolean, found: RunUnderTest, wanted: string, detail?: string): MatcherResult {
  const { run } = found;
  const outOfTime = hasEnded(run) ? [] : ['It has not ended: it goes on, or waits for a time or for somebody.'];
  const message = (): string =>
    [
      `Expected flow run "${run.name}" ${pass ? 'not ' : ''}${wanted}.`,
      ...(detail === undefined ? [] : [detail]),
      ...outOfTime,
      '',
      describeRun(found),
    ].join('\n');
  return { pass, message };
}

async function errorOf({ nestor, run }: RunUnderTest): Promise<unknown> {
  return nestor.runs.result(run.id).then(
    () => undefined,
    (error: unknown) => error,
  );
}

function shown(expected: ExpectedError): string {
  if (typeof expected === 'function') return expected.name;
  return expected instanceof RegExp ? String(expected) : JSON.stringify(expected);
}

function msOf(within: Within['within'] = '4s'): number {
  return durationMs(within, 'option "within" of an assertion');
}
