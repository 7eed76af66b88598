import { setTimeout as pause } from 'node:timers/promises';
import { branch, currentRun, Flow, mapTasks, Task } from '@nestor/orchestrator';
import { Injectable } from '@nestjs/common';
import type { Token } from '../../witness.js';
import { BodyWitness, type Call } from '../body-witness.js';

interface Chain {
  readonly length: number;
  readonly ms: number;
  /** Tells chains apart that one flow calls. */
  readonly label?: string;
}

/** Thrown on purpose; its message names the execution that threw it. */
class StepFailure extends Error {
  constructor({ exec }: Token) {
    super(`Failed on purpose in execution ${exec}.`);
  }
}

/** Every way in which flows are made of tasks. What each returns are the tokens of all that it called. */
@Injectable()
export class ChaosFlows {
  constructor(private readonly witness: BodyWitness) {}

  /** One step after another, each knowing the one before. */
  @Flow({ name: 'chain' })
  async chain({ length, ms }: Chain): Promise<Token[]> {
    this.witness.flowBegins();
    return this.steps(length, ms);
  }

  /** The same, but it goes on for some seconds. */
  @Flow({ name: 'long-chain' })
  async longChain({ length, ms }: Chain): Promise<Token[]> {
    this.witness.flowBegins();
    return this.steps(length, ms);
  }

  /** Many at a time, two steps each, and one that knows all of them. */
  @Flow({ name: 'fan-out' })
  async fanOut({ width, concurrency, ms }: { width: number; concurrency: number; ms: number }): Promise<Token[]> {
    this.witness.flowBegins();
    const items = Array.from({ length: width }, (_, index) => index);
    const tokens = await mapTasks(
      items,
      async (item) => {
        const first = await this.work({ step: `first-${item}` }, ms);
        return [first, await this.work({ step: `second-${item}`, saw: [first] }, ms)];
      },
      { concurrency },
    );
    const saw = tokens.flat();
    return [...saw, await this.work({ step: 'gather', saw }, ms)];
  }

  /** Tasks that call tasks. */
  @Flow({ name: 'nested' })
  async nested({ depth, ms }: { depth: number; ms: number }): Promise<Token[]> {
    this.witness.flowBegins();
    const first = await this.nest({ step: 'nest-1' }, depth, ms);
    return [first, await this.nest({ step: 'nest-2', saw: [first] }, depth, ms)];
  }

  /** Flows that call flows, two at a time. */
  @Flow({ name: 'subflows' })
  async subflows({ length, ms }: Chain): Promise<Token[]> {
    this.witness.flowBegins();
    const before = await this.work({ step: 'before' }, ms);
    const [left, right] = await Promise.all([
      branch('left', () => this.chain({ length, ms, label: `left of ${before.exec}` })),
      branch('right', () => this.retried({ failures: 1, ms, label: `right of ${before.exec}` })),
    ]);
    const saw = [before, ...left, ...right];
    return [...saw, await this.work({ step: 'after', saw }, ms)];
  }

  /** Tasks that fail at first. */
  @Flow({ name: 'flaky' })
  async flaky({ failures, ms }: { failures: number; ms: number }): Promise<Token[]> {
    this.witness.flowBegins();
    const first = await this.flake({ step: 'flaky-1' }, failures, ms);
    const second = await this.flake({ step: 'flaky-2', saw: [first] }, failures, ms);
    return [first, second, await this.work({ step: 'after', saw: [first, second] }, ms)];
  }

  /** A flow that fails at first: what its tasks completed stays. */
  @Flow({ name: 'retried', retries: 2, retryDelay: '400ms' })
  async retried({ failures, ms }: { failures: number; ms: number; label?: string }): Promise<Token[]> {
    this.witness.flowBegins();
    const { attempt } = currentRun();
    const first = await this.work({ step: 'first' }, ms);
    const second = await this.work({ step: 'second', saw: [first] }, ms);
    if (attempt <= failures) await this.fail({ step: `fails-${attempt}`, saw: [first, second] }, ms);
    return [first, second, await this.work({ step: 'third', saw: [first, second] }, ms)];
  }

  /** Failures that the flow lives with. */
  @Flow({ name: 'caught' })
  async caught({ ms }: { ms: number }): Promise<Token[]> {
    this.witness.flowBegins();
    const first = await this.work({ step: 'first' }, ms);
    const failure = await this.fail({ step: 'fails', saw: [first] }, ms).catch((error: unknown) => String(error));
    return [first, await this.work({ step: 'instead', saw: [first], drew: { failure } }, ms)];
  }

  /** Values from outside. */
  @Flow({ name: 'drawn' })
  async drawn({ ms }: { ms: number }): Promise<Token[]> {
    this.witness.flowBegins();
    const run = currentRun();
    const drew = { now: run.now().toISOString(), uuid: run.uuid(), random: run.random() };
    const first = await this.work({ step: 'first', drew }, ms);
    const later = { ...drew, later: run.now().toISOString() };
    return [first, await this.work({ step: 'second', saw: [first], drew: later }, ms)];
  }

  /** Tasks that may run at most once; whether one did is not known when its process died. */
  @Flow({ name: 'at-most-once' })
  async atMostOnce({ ms }: { ms: number }): Promise<Token[]> {
    this.witness.flowBegins();
    const first = await this.work({ step: 'first' }, ms);
    const known = await this.once({ step: 'once', saw: [first] }, ms).then(
      (token) => [first, token],
      () => [first],
    );
    return [...known, await this.work({ step: 'after', saw: known }, ms)];
  }

  /** A flow that fails in the end. */
  @Flow({ name: 'doomed' })
  async doomed({ ms }: { ms: number }): Promise<Token[]> {
    this.witness.flowBegins();
    const first = await this.work({ step: 'first' }, ms);
    await this.fail({ step: 'fails', saw: [first] }, ms);
    return [first];
  }

  @Task()
  async work(call: Call, ms: number): Promise<Token> {
    return this.witness.task(call, () => rest(ms));
  }

  @Task({ retries: 3, retryDelay: ['150ms', '300ms'] })
  async flake(call: Call, failures: number, ms: number): Promise<Token> {
    const { attempt } = currentRun();
    return this.witness.task(call, async (token) => {
      await rest(ms);
      if (attempt <= failures) throw new StepFailure(token);
    });
  }

  @Task()
  async fail(call: Call, ms: number): Promise<Token> {
    return this.witness.task(call, async (token) => {
      await rest(ms);
      throw new StepFailure(token);
    });
  }

  @Task({ recordStart: true })
  async once(call: Call, ms: number): Promise<Token> {
    return this.witness.task(call, () => rest(ms), { atMostOnce: true });
  }

  /** A task of tasks. What it calls belongs to its attempt, and there is one only. */
  @Task()
  async nest(call: Call, depth: number, ms: number): Promise<Token> {
    return this.witness.task(call, async () => {
      const first = await this.work({ step: `${call.step}/work` }, ms);
      if (depth > 1) await this.nest({ step: `${call.step}/nest`, saw: [first] }, depth - 1, ms);
    });
  }

  private async steps(length: number, ms: number): Promise<Token[]> {
    const tokens: Token[] = [];
    for (let step = 1; step <= length; step += 1) {
      tokens.push(await this.work({ step: `step-${step}`, saw: tokens.slice(-1) }, ms));
    }
    return tokens;
  }
}

/** Time passes; not beyond the end of the attempt. */
async function rest(ms: number): Promise<void> {
  await pause(ms, undefined, { signal: currentRun().signal });
}
