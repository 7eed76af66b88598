import { setTimeout as pause } from 'node:timers/promises';
import {
  isPassing,
  RunControlRefusedError,
  type FlowRunHandle,
  type Flows,
  type RunControl,
} from '@nestor/orchestrator';
import type { Random } from '../../random.js';
import type { Token, Witness } from '../../witness.js';
import { ChaosFlows } from './chaos-flows.js';
import { LEFT_SUSPENDED } from './left-suspended.js';

/** How many runs each process keeps going. */
const CLIENTS = 10;
/** A run that somebody suspended may not end for long. */
const PATIENCE = '15s';

interface Started {
  readonly handle: FlowRunHandle<Token[]>;
  readonly flow: string;
  readonly expected: 'COMPLETED' | 'FAILED';
}

/** Those who use the engine: they start runs one after another, look at what comes out, and change their minds. */
export class Clients {
  private quiet = false;

  constructor(
    private readonly flows: Flows,
    private readonly control: RunControl,
    private readonly witness: Witness,
    private readonly random: Random,
    private readonly report: (problem: string) => void,
  ) {}

  start(): void {
    for (let client = 0; client < CLIENTS; client += 1) void this.serve();
  }

  /** Starts nothing more. */
  quiesce(): void {
    this.quiet = true;
  }

  private async serve(): Promise<void> {
    while (!this.quiet) {
      try {
        await this.useOnce();
      } catch (error) {
        this.report(`A client met an error: ${error instanceof Error ? (error.stack ?? '') : String(error)}`);
        await pause(200);
      }
    }
  }

  private async useOnce(): Promise<void> {
    const left = this.random.chance(0.01);
    const { handle, flow, expected } = await this.startOne(left ? [LEFT_SUSPENDED] : []);
    await this.witness.write({ kind: 'acknowledged', run: handle.id, flow, expected });
    if (left) return this.tell(() => this.control.suspend(handle.id));
    await Promise.all([this.steer(handle.id), this.await(handle)]);
  }

  private async startOne(tags: readonly string[]): Promise<Started> {
    const { random } = this;
    const flows = this.flows.with({ tags: [...tags] });
    const ms = random.integer(20, 250);
    const start = async (
      flow: string,
      begun: Promise<FlowRunHandle<Token[]>>,
      expected: Started['expected'] = 'COMPLETED',
    ) => ({
      handle: await begun,
      flow,
      expected,
    });
    switch (random.integer(0, 11)) {
      case 0:
      case 1:
        return start('long-chain', flows.start(ChaosFlows, 'longChain', { length: random.integer(4, 8), ms: 1_000 }));
      case 2: {
        const fan = { width: random.integer(4, 16), concurrency: random.integer(2, 8), ms };
        return start('fan-out', flows.start(ChaosFlows, 'fanOut', fan));
      }
      case 3:
        return start('nested', flows.start(ChaosFlows, 'nested', { depth: random.integer(1, 3), ms }));
      case 4:
        return start('subflows', flows.start(ChaosFlows, 'subflows', { length: random.integer(1, 4), ms }));
      case 5:
        return start('flaky', flows.start(ChaosFlows, 'flaky', { failures: random.integer(1, 3), ms }));
      case 6:
        return start('retried', flows.start(ChaosFlows, 'retried', { failures: random.integer(1, 2), ms }));
      case 7:
        return start('caught', flows.start(ChaosFlows, 'caught', { ms }));
      case 8:
        return start('drawn', flows.start(ChaosFlows, 'drawn', { ms }));
      case 9:
        return start('at-most-once', flows.start(ChaosFlows, 'atMostOnce', { ms }));
      case 10:
        return start('doomed', flows.start(ChaosFlows, 'doomed', { ms }), 'FAILED');
      default:
        return start('chain', flows.start(ChaosFlows, 'chain', { length: random.integer(2, 10), ms }));
    }
  }

  /** Most runs are let alone. */
  private async steer(id: string): Promise<void> {
    const { random, control } = this;
    const mood = random.next();
    if (mood > 0.3) return;
    await pause(random.between(0, 1_500));
    if (mood < 0.08) return this.cancel(id);
    await this.tell(() => (mood < 0.2 ? control.pause(id) : control.suspend(id)));
    await pause(random.between(0, 3_000));
    if (random.chance(0.2)) return this.cancel(id);
    await this.tell(() => control.resume(id));
  }

  private async cancel(id: string): Promise<void> {
    await this.witness.write({ kind: 'cancel', run: id });
    await this.tell(() => this.control.cancel(id));
  }

  /**
   * Asks something of a run. That it may have ended by then, or that the database may be away, is
   * what a client has to expect.
   */
  private async tell(ask: () => Promise<unknown>): Promise<void> {
    try {
      await ask();
    } catch (error) {
      if (!(error instanceof RunControlRefusedError) && !isPassing(error)) throw error;
    }
  }

  private async await(handle: FlowRunHandle<Token[]>): Promise<void> {
    let saw: Token[];
    try {
      saw = await handle.result({ timeout: PATIENCE });
    } catch {
      return; // how runs end is looked up in the end
    }
    await this.witness.write({ kind: 'result', run: handle.id, saw });
  }
}
