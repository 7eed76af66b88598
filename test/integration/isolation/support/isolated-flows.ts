import { existsSync, writeFileSync } from 'node:fs';
import { isMainThread, threadId } from 'node:worker_threads';
import { Injectable } from '@nestjs/common';
import { currentRun, Flow, Task, type HookContext } from '@nestor/orchestrator';

/** How a process may end that executes a run. */
export const ENDS = {
  'exit 3': () => process.exit(3),
  'uncaught error': () => setImmediate(() => JSON.parse('no JSON') as unknown),
  SIGKILL: () => process.kill(process.pid, 'SIGKILL'),
  SIGSEGV: () => process.kill(process.pid, 'SIGSEGV'),
  'out of heap': () => {
    for (const kept: unknown[] = []; ; kept.push(new Array(100_000).fill(kept.length)));
  },
} as const;

const forEver = (): Promise<never> => new Promise(() => undefined);

/** Flows that tell where they are executed, and some that never end. */
@Injectable()
export class IsolatedFlows {
  /** What the hooks were told in this process. */
  readonly noted: string[] = [];

  @Flow({ name: 'tell' })
  async tell(): Promise<object> {
    console.log(`hello from ${process.pid}`);
    console.error('a word of warning');
    process.stdout.write('not a whole line');
    currentRun().logger.log('said to the log');
    return { pid: process.pid, threadId, isMainThread, directory: process.cwd(), word: process.env.WORD ?? null };
  }

  /** Never gives the event loop back. */
  @Flow({ name: 'spin', onCancellation: 'note', onCrashed: 'note' })
  async spin(): Promise<void> {
    await this.whereAmI(1); // so that it is on record that it runs
    console.log('spinning'); // which leaves a process at once, and a thread never
    for (;;);
  }

  /** Ends when it is asked to, and says so. */
  @Flow({ name: 'wait' })
  async wait(): Promise<void> {
    const { signal, logger } = currentRun();
    logger.log('waiting');
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
  }

  /** Waits until there is a file of that name; before that, a task of it is done. */
  @Flow({ name: 'twice', onCrashed: 'note' })
  async twice(until: string): Promise<number[]> {
    return this.before(until);
  }

  /** The same, in one build of the code alone. */
  @Flow({ name: 'pinned', pinToBuild: true })
  async pinned(until: string): Promise<number[]> {
    return this.before(until);
  }

  private async before(until: string): Promise<number[]> {
    const first = await this.whereAmI(1);
    while (!existsSync(until)) await new Promise((resolve) => setTimeout(resolve, 10));
    return [first, await this.whereAmI(2)];
  }

  @Flow({ name: 'end', onCrashed: 'note' })
  async end(how: keyof typeof ENDS): Promise<void> {
    await this.whereAmI(1); // so that it is on record that it runs
    ENDS[how]();
    await forEver();
  }

  /** Leaves a file in its working directory, and never ends. */
  @Flow({ name: 'litter' })
  async litter(): Promise<void> {
    writeFileSync('left', 'behind');
    console.log(`in ${process.cwd()}`);
    for (;;);
  }

  @Task()
  async whereAmI(_: number): Promise<number> {
    return process.pid;
  }

  async note({ run: { flowRunId }, state }: HookContext): Promise<void> {
    this.noted.push(`${state.name} ${flowRunId}`);
    process.stdout.write(`hook: ${state.name} ${flowRunId}\n`);
  }
}
