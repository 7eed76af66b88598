import { Injectable, Module, type DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Flow, FlowRuns, OrchestratorModule, type OrchestratorOptions } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { Client } from 'pg';
import { testDatabase } from '../../support/database.js';

@Injectable()
class Greeter {
  @Flow()
  async greet({ name }: { name: string }): Promise<string> {
    return `Hello, ${name}!`;
  }
}

@Injectable()
class Configuration {
  readonly schema = 'computed';
}

@Module({ providers: [Configuration], exports: [Configuration] })
class ConfigurationModule {}

describe('The options of the module', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await testDatabase();
  });
  afterAll(() => database.drop());

  async function runsIn(orchestrator: DynamicModule): Promise<string[]> {
    @Module({ imports: [orchestrator], providers: [Greeter] })
    class App {}
    const app = await NestFactory.createApplicationContext(App, { abortOnError: false, logger: false });
    try {
      await app.get(Greeter).greet({ name: 'Ada' });
      return (await app.get(FlowRuns).list()).map((run) => `${run.flowName} ${run.stateName}`);
    } finally {
      await app.close();
    }
  }

  it('can be given directly', async () => {
    expect(await runsIn(OrchestratorModule.forRoot({ database: { url: database.url }, schema: 'direct' }))).toEqual([
      'Greeter.greet Completed',
    ]);
  });

  it('can be computed from injected services', async () => {
    const orchestrator = OrchestratorModule.forRootAsync({
      imports: [ConfigurationModule],
      inject: [Configuration],
      useFactory: async ({ schema }: Configuration): Promise<OrchestratorOptions> => ({
        database: { url: database.url },
        schema,
      }),
    });
    expect(await runsIn(orchestrator)).toEqual(['Greeter.greet Completed']);
  });

  it('can come from a class that makes them', async () => {
    @Injectable()
    class Options {
      create(): OrchestratorOptions {
        return { database: { url: database.url }, schema: 'made', app: 'shop', buildId: 'abc123' };
      }
    }
    expect(await runsIn(OrchestratorModule.forRootAsync({ useClass: Options }))).toEqual(['Greeter.greet Completed']);

    const client = new Client({ connectionString: database.url });
    await client.connect();
    const { rows } = await client.query('select app, build_id from made.flow_run');
    await client.end();
    expect(rows).toEqual([{ app: 'shop', build_id: 'abc123' }]);
  });

  it('are checked before anything is opened', async () => {
    const orchestrator = OrchestratorModule.forRoot({ database: { url: database.url }, drain: '5 fortnights' as '5s' });
    await expect(runsIn(orchestrator)).rejects.toMatchObject({
      code: 'INVALID_DURATION',
      message: expect.stringContaining('option "drain" of OrchestratorModule'),
    });
  });
});
