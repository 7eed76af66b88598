import { Injectable, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { Flow, Task } from '@nestor/orchestrator';
import { createTestingOrchestrator, type TestDatabaseOptions } from '@nestor/testing';
import { Gate } from '../../support/gate.js';
import { sql } from '../../support/sql.js';

@Injectable()
class Mailer {
  readonly sent: string[] = [];

  async send(to: string): Promise<void> {
    this.sent.push(to);
  }
}

@Injectable()
class Shop {
  readonly gate = new Gate();

  constructor(private readonly mailer: Mailer) {}

  @Flow({ name: 'order' })
  async order(to: string): Promise<string> {
    await this.confirm(to);
    return `ordered for ${to}`;
  }

  @Flow({ name: 'wait' })
  async wait(): Promise<void> {
    await this.gate.pass();
  }

  @Task()
  async confirm(to: string): Promise<void> {
    await this.mailer.send(to);
  }

  @Task()
  async hang(): Promise<void> {
    await this.gate.pass();
  }
}

@Module({ providers: [Shop, Mailer], exports: [Shop] })
class ShopModule {}

const server = process.env.DATABASE_URL;
const database: TestDatabaseOptions = server ? { server } : {};

describe('an orchestrator for tests', () => {
  it('runs what it is given on a database of its own, which goes with it', async () => {
    const nestor = await createTestingOrchestrator({ providers: [Shop, Mailer], database });
    expect(await nestor.get(Shop).order('Ada')).toBe('ordered for Ada');
    expect(nestor.get(Mailer).sent).toEqual(['Ada']);
    expect(await nestor.latestRun()).toMatchObject({ flowName: 'order', stateType: 'COMPLETED' });
    await expect(nestor.latestRun('wait')).rejects.toThrow('There is no flow run of "wait" yet.');
    await nestor.close();
    await nestor.close(); // once more changes nothing
    await expect(sql(nestor.database, 'select 1')).rejects.toThrow();
  });

  it('takes modules, and what @nestjs/testing puts in the place of providers', async () => {
    const mailer = { send: jest.fn(async () => undefined) };
    const nestor = await createTestingOrchestrator({
      imports: [ShopModule],
      database,
      compile: (metadata) => Test.createTestingModule(metadata).overrideProvider(Mailer).useValue(mailer).compile(),
    });
    await nestor.get(Shop).order('Ada');
    expect(mailer.send).toHaveBeenCalledWith('Ada');
    await nestor.close();
  });

  it('leaves a database alone that is not its own', async () => {
    const owner = await createTestingOrchestrator({ database });
    const guest = await createTestingOrchestrator({ providers: [Shop, Mailer], database: owner.database });
    await guest.get(Shop).order('Ada');
    await guest.close();
    expect(await sql(owner.database, 'select state_type from nestor.flow_run')).toEqual([{ state_type: 'COMPLETED' }]);
    await owner.close();
  });

  it('drops the database of an application that does not start', async () => {
    const failure = createTestingOrchestrator({ providers: [Shop], database, logger: false });
    await expect(failure).rejects.toThrow(/Mailer/);
  });

  describe('that is closed while runs are going on', () => {
    it('says which, and is closed all the same', async () => {
      const nestor = await createTestingOrchestrator({ providers: [Shop, Mailer], database, logger: false });
      const run = await nestor.flows.start(Shop, 'wait');
      await nestor.get(Shop).gate.reached;
      await expect(nestor.close()).rejects.toMatchObject({
        code: 'RUNS_LEAKED',
        runs: [{ id: run.id, name: run.name, stateName: 'Running' }],
        message: expect.stringContaining(`"${run.name}" (${run.id}) is Running`),
      });
      await expect(sql(nestor.database, 'select 1')).rejects.toThrow();
    });

    it('counts tasks outside flows as well', async () => {
      const nestor = await createTestingOrchestrator({ providers: [Shop, Mailer], database, logger: false });
      const shop = nestor.get(Shop);
      const hanging = shop.hang().catch((error: unknown) => error);
      await shop.gate.reached;
      await expect(nestor.close()).rejects.toMatchObject({ code: 'RUNS_LEAKED', calls: 1 });
      await hanging;
    });

    it('says nothing where they are given up', async () => {
      const nestor = await createTestingOrchestrator({ providers: [Shop, Mailer], database, logger: false });
      await nestor.flows.start(Shop, 'wait');
      await nestor.close({ abandonRuns: true });
    });
  });
});
