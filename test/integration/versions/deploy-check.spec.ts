import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Injectable } from '@nestjs/common';
import {
  block,
  Block,
  Blocks,
  deployCheck,
  Deployments,
  Flow,
  FlowRuns,
  Flows,
  OrchestratorModule,
  Task,
  type DeployReport,
} from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { Journal } from '../../../libs/orchestrator/src/runtime/transitions/journal.js';
import { startApp, testModule } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { sql } from '../../support/sql.js';

interface Tasks {
  reserve(item: string): Promise<string>;
  charge(amount: number): Promise<string>;
  wait(): Promise<void>;
}
type Code = (tasks: Tasks) => Promise<unknown>;

/** The same class in a certain build: what its flows do is code of that build. */
function buildOf(code: Code, gate = new Gate(), performed: string[] = []) {
  @Injectable()
  class Shop implements Tasks {
    @Flow({ name: 'order' })
    async order(): Promise<unknown> {
      return code(this);
    }

    @Task()
    async reserve(item: string): Promise<string> {
      performed.push(`reserve ${item}`);
      return `reserved ${item}`;
    }

    @Task()
    async charge(amount: number): Promise<string> {
      performed.push(`charge ${amount}`);
      return `charged ${amount}`;
    }

    @Task()
    async wait(): Promise<void> {
      await gate.pass();
    }
  }
  return Shop;
}

@Injectable()
class Elsewhere {
  @Flow({ name: 'elsewhere' })
  async play(): Promise<void> {}
}

@Block({ slug: 'till' })
class Till {
  place!: string;
}

/** A class in a certain build, of which a flow is given a block. */
function branchOf(gate = new Gate()) {
  @Injectable()
  class Branch {
    @Flow({ name: 'sell' })
    async sell({ till }: { till: Till }): Promise<string> {
      const sold = await this.sellAt(till.place);
      await this.wait(till);
      return sold;
    }

    @Task()
    async sellAt(place: string): Promise<string> {
      return `sold in ${place}`;
    }

    @Task()
    async wait(_: Till): Promise<void> {
      await gate.pass();
    }
  }
  return Branch;
}

/** What the build does that is deployed. */
const deployed: Code = async (tasks) => [await tasks.reserve('book'), await tasks.wait(), await tasks.charge(5)];

describe('a check before code is deployed', () => {
  let database: TestDatabase;
  let count = 0;

  beforeAll(async () => void (database = await testDatabase()));
  afterAll(() => database.drop());

  /** Checks other code while a run of the deployed one is in flight; gives its id and the report. */
  const check = async (providers: ReturnType<typeof buildOf>[] | (typeof Elsewhere)[]) => {
    const app = `checked-${(count += 1)}`;
    const gate = new Gate();
    const Shop = buildOf(deployed, gate);
    const old = await startApp({ url: database.url, app, buildId: 'A', providers: [Shop] });
    try {
      const run = await old.get(Flows).start(Shop, 'order');
      await gate.reached;
      await old.get(Journal).settled(); // that it waits at the gate is written behind it
      const before = await everything();
      const printed: string[] = [];
      const module = testModule({ url: database.url, app, buildId: 'B', providers });
      const report = await deployCheck(module, { print: (text) => printed.push(text), logger: false });
      expect(await everything()).toEqual(before);
      gate.open();
      expect(await old.get(FlowRuns).result(run.id, { timeout: '10s' })).toEqual([
        'reserved book',
        undefined,
        'charged 5',
      ]);
      return { id: run.id, report, printed: printed.join('\n') };
    } finally {
      gate.open();
      await old.close();
    }
  };
  /** All that an application writes when it starts, or goes on with runs. */
  const everything = async (): Promise<unknown> => {
    const tables = ['flow', 'flow_run', 'flow_run_state', 'task_run', 'run_value', 'deployment', 'event', 'log'];
    const counts = tables.map((table) => `(select count(*) from nestor.${table}) as ${table}`).join(', ');
    const leases = `(select json_agg(r.lease_epoch order by r.id) from nestor.flow_run r) as leases`;
    const processes = `(select json_agg(p.id order by p.id) from nestor.process p) as processes`;
    return sql(database, `select ${counts}, ${leases}, ${processes}`);
  };
  const clean: Partial<DeployReport> = { divergent: [], unchecked: [], isSafe: true, inFlight: 1, compatible: 1 };

  it('finds code compatible that does the same so far, and executes and writes nothing', async () => {
    const performed: string[] = [];
    const code: Code = async (tasks) => {
      const reserved = await tasks.reserve('book');
      await tasks.wait();
      return [reserved, await tasks.charge(7)]; // which the run has not come to yet
    };
    const { report, printed } = await check([buildOf(code, undefined, performed)]);
    expect(report).toMatchObject({ ...clean, buildId: 'B' });
    expect(printed).toContain('1 go on as they began');
    expect(performed).toEqual([]);
  });

  it('finds which run would diverge, where, and what becomes of it', async () => {
    const { id, report, printed } = await check([
      buildOf(async (tasks) => [await tasks.reserve('pen'), await tasks.wait()]),
    ]);
    expect(report).toMatchObject({
      ...{ isSafe: false, inFlight: 1, compatible: 0 },
      divergent: [
        {
          ...{ flowRunId: id, flowName: 'order', buildId: 'A', consequence: 'warn' },
          newCalls: [{ task: 'Shop.reserve', inputs: "('pen')" }],
          missingCalls: [{ task: 'Shop.reserve' }],
        },
      ],
    });
    expect(printed).toContain(`run ${id}`);
    expect(printed).toContain(`"Shop.reserve" is called with ('pen'), which is not recorded.`);
  });

  it('finds which run nobody could go on with, because the flow is gone', async () => {
    const { id, report } = await check([Elsewhere]);
    expect(report).toMatchObject({ isSafe: false, unchecked: [{ flowRunId: id, code: 'FLOW_NOT_REGISTERED' }] });
  });

  it('gives code the blocks that its parameters refer to, and tells where one is missing', async () => {
    const app = 'checked-blocks';
    const gate = new Gate();
    const Branch = branchOf(gate);
    const old = await startApp({ url: database.url, app, buildId: 'A', providers: [Branch] });
    try {
      const blocks = old.get(Blocks);
      await blocks.save('corner', Object.assign(new Till(), { place: 'Delft' }));
      const { id } = await old.get(Deployments).save(Branch, 'sell', {
        ...{ name: 'corner', parameters: { till: block(Till, 'corner') } },
      });
      const run = await old.get(Deployments).run(id);
      await gate.reached;
      await old.get(Journal).settled();
      const module = testModule({ url: database.url, app, buildId: 'B', providers: [branchOf()] });
      const quiet = { print: () => undefined, logger: false } as const;
      expect(await deployCheck(module, quiet)).toMatchObject(clean);
      await blocks.delete(Till, 'corner');
      expect(await deployCheck(module, quiet)).toMatchObject({
        ...{ isSafe: false, divergent: [], unchecked: [{ flowRunId: run.id, code: 'BLOCK_NOT_FOUND' }] },
      });
      gate.open();
      expect(await run.result()).toBe('sold in Delft');
    } finally {
      gate.open();
      await old.close();
    }
  });

  it('refuses a schema that lacks migrations of the code', async () => {
    const module = testModule({ url: database.url, schema: 'untouched', providers: [Elsewhere] });
    await expect(deployCheck(module, { logger: false })).rejects.toMatchObject({ code: 'SCHEMA_NOT_MIGRATED' });
    expect(await sql(database, `select from pg_namespace where nspname = 'untouched'`)).toEqual([]);
  });

  it('makes no embedded database where there is none', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'nestor-check-'));
    try {
      const module = OrchestratorModule.forRoot({ database: { home: join(directory, 'home') } });
      await expect(deployCheck(module, { logger: false })).rejects.toMatchObject({
        code: 'EMBEDDED_POSTGRES_NOT_CREATED',
        directory: join(directory, 'home', 'postgres'),
        message: expect.stringContaining(
          'name its directory (NESTOR_HOME, or option database.home of the module)',
        ) as string,
      });
      expect(readdirSync(directory)).toEqual([]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
