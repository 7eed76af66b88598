import { Inject, Injectable } from '@nestjs/common';
import { Task } from '@nestor/orchestrator';
import { Client } from 'pg';

/** Where the tasks leave their marks. */
export const MARKS_URL = Symbol('marks-url');

/** Tasks that leave a mark in a table of their own whenever they are executed: it outlives the process. */
@Injectable()
export class Chores {
  /** What comes after the mark. */
  afterwards: () => Promise<unknown> = async () => undefined;

  constructor(@Inject(MARKS_URL) private readonly url: string) {}

  @Task()
  async work(number: number): Promise<number> {
    const client = new Client({ connectionString: this.url });
    await client.connect();
    try {
      await client.query('insert into mark (name, pid) values ($1, $2)', [String(number), process.pid]);
    } finally {
      await client.end();
    }
    await this.afterwards();
    return process.pid;
  }
}
