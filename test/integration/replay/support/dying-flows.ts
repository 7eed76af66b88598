import { Inject, Injectable } from '@nestjs/common';
import { currentRun, Flow, Task, type CompletionContext } from '@nestor/orchestrator';
import { Client } from 'pg';

/** Where the flows leave their marks. */
export const MARKS_URL = Symbol('marks-url');

/** Flows that leave a mark in a table of their own for every execution of a task: it outlives the process. */
@Injectable()
export class DyingFlows {
  /** What comes after the first task. */
  afterwards: () => Promise<unknown> = async () => undefined;

  /** What the kernel does to a process that takes too much memory. */
  end: () => void = () => process.kill(process.pid, 'SIGKILL');

  constructor(@Inject(MARKS_URL) private readonly url: string) {}

  /** Kills every process that executes it. */
  @Flow({ name: 'deadly' })
  async deadly(): Promise<void> {
    await this.mark('before');
    await this.die();
  }

  @Flow({ name: 'interrupted' })
  async interrupted(): Promise<unknown[]> {
    const results = [await this.mark('one'), await this.mark('two')];
    currentRun().logger.log(`two marks by ${process.pid}`);
    await this.afterwards();
    return [...results, await this.mark('three')];
  }

  /** Killed between its end and its second hook; the first one kills. */
  @Flow({ name: 'hooked', onCompletion: ['endProcess', 'markHook'] })
  async hooked(name: string): Promise<string> {
    return name;
  }

  endProcess(): void {
    this.end();
  }

  async markHook({ args: [name], result }: CompletionContext<DyingFlows['hooked']>): Promise<void> {
    await this.leaveMark(`${name} ${result}`);
  }

  /** Gives the id of the process that executed it. */
  @Task()
  async mark(name: string): Promise<number> {
    await this.leaveMark(name);
    return process.pid;
  }

  private async leaveMark(name: string): Promise<void> {
    const client = new Client({ connectionString: this.url });
    await client.connect();
    try {
      await client.query('insert into mark (name, pid) values ($1, $2)', [name, process.pid]);
    } finally {
      await client.end();
    }
  }

  @Task()
  async die(): Promise<void> {
    this.end();
    await new Promise(() => undefined);
  }
}
