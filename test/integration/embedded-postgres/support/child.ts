import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

import type { EmbeddedConnection } from '../../../../libs/orchestrator/src/persistence/embedded-postgres/embedded-postgres.js';
import type { Answer, Request } from './child-program.js';

interface Opened {
  readonly connection: EmbeddedConnection;
  readonly url: string;
  readonly lines: string[];
}

/** A Node process of its own that opens an embedded PostgreSQL and does what it is told. */
export class Child {
  private readonly process: ChildProcess;

  constructor(program: string, options: { cwd: string; uid?: number; gid?: number }) {
    this.process = fork(program, [], { ...options, execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  }

  get pid(): number {
    return this.process.pid ?? 0;
  }

  open(directory: string): Promise<Opened> {
    return this.ask({ do: 'open', directory }) as Promise<Opened>;
  }

  query(sql: string): Promise<Record<string, unknown>[]> {
    return this.ask({ do: 'query', sql }) as Promise<Record<string, unknown>[]>;
  }

  /** Closes and returns the lines it logged. */
  close(): Promise<string[]> {
    return this.ask({ do: 'close' }) as Promise<string[]>;
  }

  /** Lets go of the process and waits until it ends by itself; returns its exit code. */
  async end(): Promise<number | null> {
    const exited = once(this.process, 'exit') as Promise<[number | null]>;
    this.process.send({ do: 'disconnect' } satisfies Request);
    return (await exited)[0];
  }

  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const exited = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await exited;
  }

  private async ask(request: Request): Promise<unknown> {
    const answered = once(this.process, 'message') as Promise<[Answer]>;
    const exited = once(this.process, 'exit').then(() => Promise.reject(new Error('the child ended')));
    exited.catch(() => undefined);
    this.process.send(request);
    const [answer] = await Promise.race([answered, exited]);
    if ('failure' in answer) throw Object.assign(new Error(answer.failure.message), { code: answer.failure.code });
    return answer.value;
  }
}
