import { Injectable, Module, type INestApplicationContext } from '@nestjs/common';
import { InjectDataSource, InjectRepository, TypeOrmModule } from '@nestjs/typeorm';
import { Flow, Task, type HookContext } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { Column, DataSource, Entity, PrimaryGeneratedColumn, type Repository } from 'typeorm';
import { startApp, type TestAppOptions } from '../../../support/app.js';
import { sql } from '../../../support/sql.js';

/** What the application of these tests keeps for itself. */
@Entity('entry')
export class Entry {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('text')
  note!: string;
}

type Code = (...inputs: any[]) => Promise<unknown>;

/** A flow and transactional tasks whose code is what a test says. */
@Injectable()
export class Books {
  /** What the flow does. */
  script: Code = async () => undefined;
  /** What the tasks do. */
  work: Code = async () => undefined;

  constructor(
    @InjectRepository(Entry) readonly entries: Repository<Entry>,
    @InjectDataSource() readonly dataSource: DataSource,
  ) {}

  /** Notes something, through the repository that was injected. */
  async note(note: string): Promise<void> {
    await this.entries.save({ note });
  }

  @Flow({ name: 'keep books' })
  async keep(): Promise<unknown> {
    return this.script();
  }

  @Task({ transactional: true })
  async book(...inputs: unknown[]): Promise<any> {
    return this.work(...inputs);
  }

  @Task({ transactional: true, retries: 1 })
  async bookTwice(...inputs: unknown[]): Promise<any> {
    return this.work(...inputs);
  }

  @Task({ transactional: true, timeout: '150ms' })
  async bookInTime(...inputs: unknown[]): Promise<any> {
    return this.work(...inputs);
  }

  @Task({ transactional: { isolation: 'REPEATABLE READ' } })
  async bookSteadily(...inputs: unknown[]): Promise<any> {
    return this.work(...inputs);
  }

  @Task({ transactional: true, onRunning: 'tell', onCompletion: 'tell', onFailure: 'tell' })
  async bookAndTell(...inputs: unknown[]): Promise<any> {
    return this.work(...inputs);
  }

  /** What the hooks of `bookAndTell` were told. */
  readonly told: string[] = [];

  async tell({ state }: HookContext): Promise<void> {
    this.told.push(state.name);
  }

  @Task()
  async plain(...inputs: unknown[]): Promise<any> {
    return this.work(...inputs);
  }
}

interface BooksOptions extends Partial<TestAppOptions> {
  /** Where the application's own data source leads; by default where the runs are. */
  readonly hostUrl?: string;
  readonly hostPoolSize?: number;
}

/** An application with a TypeORM data source of its own, and transactional tasks on it. */
export function startBooks(
  database: Pick<TestDatabase, 'url'>,
  { hostUrl = database.url, hostPoolSize = 4, imports = [], providers = [], ...options }: BooksOptions = {},
): Promise<INestApplicationContext> {
  @Module({
    imports: [TypeOrmModule.forRoot(hostOptions(hostUrl, hostPoolSize)), TypeOrmModule.forFeature([Entry]), ...imports],
    providers: [Books, ...providers],
  })
  class BooksModule {}
  return startApp({ url: database.url, drain: '10ms', ...options, imports: [BooksModule] });
}

/** How the application opens its data source. */
export function hostOptions(url: string, poolSize = 4) {
  return { type: 'postgres' as const, url, poolSize, entities: [Entry], retryAttempts: 0 };
}

/** The table of the entries, which the application would have made by a migration. */
export async function createBooks(database: Pick<TestDatabase, 'url'>): Promise<void> {
  await sql(database, 'create table entry (id serial primary key, note text not null)');
}

/** What was noted and committed, in order. */
export async function notes(database: Pick<TestDatabase, 'url'>): Promise<string[]> {
  const rows = await sql<{ note: string }>(database, 'select note from entry order by id');
  return rows.map(({ note }) => note);
}
