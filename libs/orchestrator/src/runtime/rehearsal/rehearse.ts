import type { CallEngine } from '../registry/engine-bindings.js';
import { Attempt } from '../engine/attempt.js';
import { PauseGate } from '../engine/pause-gate.js';
import { RunScope, withScope, type ScopeServices } from '../engine/run-scope.js';
import { pause } from '../engine/wait-until.js';
import { pauseValueKey } from '../inputs/kept-inputs.js';
import type { PauseRequest } from '../inputs/pause-request.js';
import type { RecordedCall } from '../replay/recorded-call.js';
import type { LiveFlowRun } from '../transitions/live-run.js';
import { RehearsedReplay, type CallKey } from './rehearsed-replay.js';

/** How long a body may stand still before what it has not called counts as not called: it may await something that is no task. */
const PATIENCE_MS = 1_000;

/** Once it has called something that it never called, it is given this long to call more, for the message. */
const AFTER_NEW_CALL_MS = 20;

/** What is rehearsed: the body of a flow. */
export interface RehearsedFlow {
  readonly live: LiveFlowRun;
  readonly flowName: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly engine: CallEngine;
  readonly persistResults: boolean;
  readonly perform: (within: Attempt) => Promise<unknown>;
}

/** What there is for it. */
export interface Script {
  /** The calls that get an outcome. */
  readonly ended: readonly RecordedCall[];
  /** The calls that are known to be made, and get none. */
  readonly open: ReadonlySet<string>;
  /** What was drawn from outside, encoded, by key. */
  readonly values: ReadonlyMap<string, string>;
  /** Whether it goes on to its end, or only until it has made all calls that get an outcome. */
  readonly toItsEnd: boolean;
}

/** How a body ended. */
export type BodyEnd =
  { readonly kind: 'returned'; readonly value: unknown } | { readonly kind: 'threw'; readonly error: unknown };

/** A call that got no outcome. */
interface HeldCall extends CallKey {
  readonly args: readonly unknown[];
  /** Whether it is known to be made; otherwise it is new. */
  readonly isKnown: boolean;
}

export interface Rehearsal {
  /** `null` when it did not end. */
  readonly end: BodyEnd | null;
  /** The recorded calls that it did not make. */
  readonly missing: readonly RecordedCall[];
  /** The calls it made that wait for ever. */
  readonly held: readonly HeldCall[];
}

/**
 * Runs the body of a flow from the top with recorded outcomes alone: its tasks and subflows are not executed, and nothing is
 * written. What it does besides calling them happens again, as it does when a run is resumed.
 */
export async function rehearse(
  { live, flowName, parameters, engine, persistResults, perform }: RehearsedFlow,
  { ended, open, values, toItsEnd }: Script,
  engineServices: ScopeServices,
): Promise<Rehearsal> {
  const replay = new RehearsedReplay(ended, values);
  const inputs = new Map<string, readonly unknown[]>();
  // Whatever else code may ask of the engine it has asked before: a rehearsal comes after the attempt it repeats.
  const services = Object.assign(Object.create(engineServices) as ScopeServices, {
    ...UNWRITTEN,
    noteCall: (_: RunScope, taskKey: string, dynamicKey: string, args: readonly unknown[]) =>
      inputs.set(callKey({ taskKey, dynamicKey }), args),
    outcomes: { ...engineServices.outcomes, ...UNWRITTEN_OUTCOMES },
    pause: (scope: RunScope, request: PauseRequest) => {
      const key = request.key ?? scope.branch.keyOfValue('pause');
      return values.has(pauseValueKey(key)) ? engineServices.pause(scope, { ...request, key }) : never;
    },
  });
  const attempt = new Attempt(live.created.name, live.image.runCount, null, live.created.id);
  const place = {
    engine,
    flowRun: live,
    flowName,
    parameters,
    taskRun: null,
    attempt,
    replay,
    gate: new PauseGate(null),
    persistResults,
    capturesConsole: true, // what it prints has been printed
    services,
  };
  const held = (): HeldCall[] =>
    replay.held.map((call) => ({
      ...call,
      args: inputs.get(callKey(call)) ?? [],
      isKnown: open.has(callKey(call)),
    }));

  let end: BodyEnd | null = null;
  withScope(new RunScope(place), async () => perform(attempt)).then(
    (value) => (end = { kind: 'returned', value }),
    (error: unknown) => (end = { kind: 'threw', error }),
  );
  const isDone = (): boolean => end !== null || (!toItsEnd && replay.missing.length === 0);
  for (let before = NaN, since = performance.now(); !isDone();) {
    await turn();
    if (replay.progress !== before) {
      before = replay.progress;
      since = performance.now();
      continue;
    }
    const patienceMs = held().some(({ isKnown }) => !isKnown) ? AFTER_NEW_CALL_MS : PATIENCE_MS;
    if (performance.now() - since > patienceMs) break;
    await pause(1);
  }
  attempt.end('its rehearsal is over');
  return { end, missing: replay.missing, held: held() };
}

/** In place of what writes. */
const UNWRITTEN: Partial<ScopeServices> = {
  log: () => undefined,
  keepValue: () => undefined,
  send: async () => undefined,
  beginWait: () => () => undefined,
  slots: {
    hold: (_, work) => work({ limits: [], signal: new AbortController().signal }),
    pass: async () => undefined,
  },
};
const never = new Promise<never>(() => undefined);
const UNWRITTEN_OUTCOMES: Pick<ScopeServices['outcomes'], 'remember' | 'lock'> = {
  remember: async () => undefined,
  lock: async () => async () => undefined,
};

/** Tells the calls of a run apart. */
export function callKey({ taskKey, dynamicKey }: CallKey): string {
  return `${taskKey}\0${dynamicKey}`;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
