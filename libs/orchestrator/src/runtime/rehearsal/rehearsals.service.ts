import { Injectable } from '@nestjs/common';
import { EngineScopeServices } from '../engine/scope-services.js';
import { Payloads } from '../payloads/payloads.service.js';
import type { RecordedCall } from '../replay/recorded-call.js';
import { ReplayDivergedError } from '../replay/replay-diverged.error.js';
import { Replays } from '../replay/replays.service.js';
import { Journal } from '../transitions/journal.js';
import type { SettledAttempt } from './attempt-inspector.js';
import { describeEnd, excerptOf, isSameEnd } from './differences.js';
import { callKey, rehearse, type BodyEnd, type Rehearsal, type RehearsedFlow, type Script } from './rehearse.js';
import type { CallKey } from './rehearsed-replay.js';

/** What a call was given, where somebody knows: inputs are not recorded. */
type InputsOf = (flowRunId: string, call: CallKey) => readonly unknown[] | undefined;

/** A body that tosses a coin comes out alike now and then: with fewer calls than this, it is rehearsed more often. */
const LEAST_REHEARSALS = 10;

/**
 * Lets the bodies of flows begin again from what is recorded.
 *
 * @internal
 */
@Injectable()
export class Rehearsals {
  constructor(
    private readonly replays: Replays,
    private readonly journal: Journal,
    private readonly payloads: Payloads,
    private readonly services: EngineScopeServices,
  ) {}

  /** Runs a body with recorded outcomes alone: see {@link rehearse}. */
  rehearse(flow: RehearsedFlow, script: Script): Promise<Rehearsal> {
    return rehearse(flow, script, this.services);
  }

  /**
   * Interrupts an attempt after each of its calls, in the order in which they ended, and lets its body begin again each time with
   * the outcomes there were by then. Tasks are not executed again.
   *
   * @returns what it did otherwise, the first time it did; `null` when it always did the same.
   */
  async divergenceOf(settled: SettledAttempt, inputsOf: InputsOf): Promise<ReplayDivergedError | null> {
    const { live, outcome } = settled;
    await this.journal.settled();
    const recorded = await this.replays.recordedBy(live.created.id, live.image.runCount);
    // What a task calls is made again by its body, which is not executed again here.
    const own = recorded.ended.filter(({ created }) => created.parentTaskRunId === null);
    const { ended, forgotten } = uptoForgotten(own);
    const inherited = ended.filter(({ isOfThisAttempt }) => !isOfThisAttempt);
    const steps = ended.filter(({ isOfThisAttempt }) => isOfThisAttempt);
    const open = new Set([...recorded.open, ...forgotten].map(callKey));
    const laterOn = (step: number): Iterable<string> => steps.slice(step).map(({ created }) => callKey(created));

    // A body that ran out of time, or asked for a state, has no end that could be compared.
    const endsByItself =
      forgotten.length === 0 && outcome.state === null && !(outcome.kind === 'threw' && outcome.timedOut);
    const rounds = Math.max(steps.length, LEAST_REHEARSALS);
    for (let round = 1; round <= rounds; round += 1) {
      const step = Math.min(round, steps.length);
      const toItsEnd = step === steps.length && endsByItself;
      const script = {
        ended: [...inherited, ...steps.slice(0, step)],
        open: new Set([...open, ...laterOn(step)]),
        values: recorded.values,
        toItsEnd,
      };
      const rehearsal = await this.rehearse(settled, script);
      const before = toItsEnd ? this.endOf(outcome) : null;
      const end = rehearsal.end && this.asRecorded(rehearsal.end);
      const found = difference(settled, { ...rehearsal, end }, steps.slice(step), before, inputsOf);
      if (found) {
        const where = placeOf(step, steps);
        return new ReplayDivergedError(found.taskKey, rehearsal.missing.length, `${where}: ${found.what}`);
      }
    }
    return null;
  }

  /** An end as it reads once it is recorded: class instances become data. */
  asRecorded(end: BodyEnd): BodyEnd {
    try {
      if (end.kind === 'threw') return end;
      return { ...end, value: this.payloads.decode(this.payloads.encode(end.value, 'result of a rehearsal')) };
    } catch {
      return end; // it has no form, and differs from whatever has one
    }
  }

  private endOf(outcome: SettledAttempt['outcome']): BodyEnd {
    return outcome.kind === 'returned'
      ? { kind: 'returned', value: this.payloads.decode(outcome.encoded) }
      : { kind: 'threw', error: outcome.error };
  }
}

/**
 * The calls before the first whose result was not kept, and the rest. Without that result the body cannot go on: what it
 * called after that is not asked for.
 */
export function uptoForgotten(calls: readonly RecordedCall[]): {
  readonly ended: readonly RecordedCall[];
  readonly forgotten: readonly RecordedCall['created'][];
} {
  const first = calls.findIndex((call) => call.kind === 'completed' && call.result === null);
  if (first < 0) return { ended: calls, forgotten: [] };
  return { ended: calls.slice(0, first), forgotten: calls.slice(first).map(({ created }) => created) };
}

function placeOf(step: number, steps: readonly RecordedCall[]): string {
  const last = steps[step - 1]?.created.name;
  return last === undefined
    ? 'Begun again before anything was recorded'
    : `Interrupted after step ${step} of ${steps.length} (${last}) and begun again from the records`;
}

/** What a rehearsal did otherwise, and in which task or flow. */
function difference(
  { live, flowName }: SettledAttempt,
  { held, missing, end }: Rehearsal,
  later: readonly RecordedCall[],
  before: BodyEnd | null,
  inputsOf: InputsOf,
): { readonly taskKey: string; readonly what: string } | null {
  const recorded = ({ created }: RecordedCall): string =>
    `${described(created, inputsOf(live.created.id, created))} (${created.name})`;
  const added = held.find(({ isKnown }) => !isKnown);
  const [left] = missing;
  if (added) {
    const what = `"${added.taskKey}" was called with ${excerptOf(added.args)}, which is not recorded`;
    const waits = new Set(held.map(callKey));
    const notMade = [...missing, ...later].filter(({ created }) => !waits.has(callKey(created)));
    const instead = notMade.find(({ created }) => created.taskKey === added.taskKey) ?? left;
    return { taskKey: added.taskKey, what: instead ? `${what}; recorded there is ${recorded(instead)}` : what };
  }
  if (left) {
    const { taskKey } = left.created;
    const early = held.find((call) => call.taskKey === taskKey);
    const after = end ? `; it ${describeEnd(end)}` : '';
    const what = early
      ? `"${taskKey}" was called with ${excerptOf(early.args)} in place of ${recorded(left)}`
      : `${recorded(left)} was not called again${after}`;
    return { taskKey, what };
  }
  if (!before || !end || isSameEnd(before, end)) return null;
  return {
    taskKey: `flow:${flowName}`,
    what: `flow "${flowName}" ${describeEnd(end)}, where it ${describeEnd(before)} before`,
  };
}

function described({ taskKey }: CallKey, inputs: readonly unknown[] | undefined): string {
  return inputs === undefined ? `"${taskKey}"` : `"${taskKey}" with ${excerptOf(inputs)}`;
}
