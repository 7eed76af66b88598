import { Injectable } from '@nestjs/common';
import { Flow, Task, type HookContext, type TransactionContext } from '@nestor/orchestrator';

type Code = (...inputs: any[]) => Promise<unknown>;

/** Flows and tasks whose code is what a test says, and that tell which tasks were executed here. */
@Injectable()
export class Stage {
  /** Whose stage it is: part of what its tasks return by default. */
  owner = 'nobody';

  /** The tasks whose code ran here, one entry per attempt, in order: `act(1)`. */
  readonly performed: string[] = [];

  /** What the hook of `actOnceWatched` was told here. */
  readonly watched: string[] = [];

  /** What the flows `play…` do. */
  script: Code = async () => undefined;
  /** What the flows `enact…` do, which are there to be called by others. */
  scene: Code = async () => undefined;
  /** What the tasks `direct…` do, which are there to call others. */
  direction: Code = async () => undefined;
  /** What the other tasks do; `call` is their entry in {@link performed}. */
  perform: (call: string, ...inputs: any[]) => Promise<unknown> = async (call) => `${call} by ${this.owner}`;

  @Flow({ name: 'play' })
  async play(params?: unknown): Promise<unknown> {
    return this.script(params);
  }

  @Flow({ name: 'play twice', retries: 1 })
  async playTwice(params?: unknown): Promise<unknown> {
    return this.script(params);
  }

  @Flow({ name: 'play later', retries: 1, retryDelay: '700ms' })
  async playLater(params?: unknown): Promise<unknown> {
    return this.script(params);
  }

  @Flow({ name: 'strict play', onDivergence: 'fail', retries: 1 })
  async playStrictly(): Promise<unknown> {
    return this.script();
  }

  @Flow({ name: 'lenient play', onDivergence: 'warn' })
  async playLeniently(): Promise<unknown> {
    return this.script();
  }

  @Flow({ name: 'free play', onDivergence: 'run' })
  async playFreely(): Promise<unknown> {
    return this.script();
  }

  @Flow({ name: 'scene' })
  async enact(...inputs: unknown[]): Promise<unknown> {
    return this.scene(...inputs);
  }

  @Flow({ name: 'scene twice', retries: 1 })
  async enactTwice(...inputs: unknown[]): Promise<unknown> {
    return this.scene(...inputs);
  }

  @Task()
  async act(...inputs: unknown[]): Promise<any> {
    return this.performing('act', inputs);
  }

  @Task({ onRollback: 'undo' })
  async reserve(...inputs: unknown[]): Promise<any> {
    return this.performing('reserve', inputs);
  }

  /** Takes back what `reserve` did. */
  async undo({ args }: TransactionContext): Promise<void> {
    await this.performing('undo', args);
  }

  @Task()
  async sing(...inputs: unknown[]): Promise<any> {
    return this.performing('sing', inputs);
  }

  @Task({ retries: 1, retryDelay: '700ms' })
  async actLater(...inputs: unknown[]): Promise<any> {
    return this.performing('actLater', inputs);
  }

  @Task({ recordStart: true, retries: 2 })
  async actOnce(...inputs: unknown[]): Promise<any> {
    return this.performing('actOnce', inputs);
  }

  @Task({ recordStart: true, onFailure: 'watch' })
  async actOnceWatched(...inputs: unknown[]): Promise<any> {
    return this.performing('actOnceWatched', inputs);
  }

  /** Is called when `actOnceWatched` fails. */
  async watch({ args, state }: HookContext): Promise<void> {
    this.watched.push(`actOnceWatched(${args.join(', ')}) is ${state.name}`);
  }

  @Task({ timeout: '30ms' })
  async actInTime(...inputs: unknown[]): Promise<any> {
    return this.performing('actInTime', inputs);
  }

  @Task()
  async direct(...inputs: unknown[]): Promise<any> {
    this.performed.push(`direct(${inputs.join(', ')})`);
    return this.direction(...inputs);
  }

  @Task({ retries: 1 })
  async directTwice(...inputs: unknown[]): Promise<any> {
    this.performed.push(`directTwice(${inputs.join(', ')})`);
    return this.direction(...inputs);
  }

  private performing(task: string, inputs: readonly unknown[]): Promise<unknown> {
    const call = `${task}(${inputs.join(', ')})`;
    this.performed.push(call);
    return this.perform(call, ...inputs);
  }
}
