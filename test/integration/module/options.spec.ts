import { Injectable, Module, type DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  DirectDatabaseUrlError,
  Flow,
  FlowRuns,
  OrchestratorModule,
  type OrchestratorOptions,
} from '@nestor/orchestrator';
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

  it('can come from a provider that is there', async () => {
    @Injectable()
    class Settings {
      create(): OrchestratorOptions {
        return { database: { url: database.url }, schema: 'existing' };
      }
    }
    @Module({ providers: [Settings], exports: [Settings] })
    class SettingsModule {}
    const orchestrator = OrchestratorModule.forRootAsync({ imports: [SettingsModule], useExisting: Settings });
    expect(await runsIn(orchestrator)).toEqual(['Greeter.greet Completed']);
  });

  it('are checked before anything is opened', async () => {
    const orchestrator = OrchestratorModule.forRoot({ database: { url: database.url }, drain: '5 fortnights' as '5s' });
    await expect(runsIn(orchestrator)).rejects.toMatchObject({
      code: 'INVALID_DURATION',
      message: expect.stringContaining('option "drain" of OrchestratorModule'),
    });
  });

  it.each([
    [{ maxRecoveries: -1 }, 'Option "maxRecoveries" of OrchestratorModule is -1 and must be a whole number from 0.'],
    [{ maxRecoveries: 1.5 }, 'Option "maxRecoveries" of OrchestratorModule is 1.5 and must be a whole number from 0.'],
    [
      { backgroundTasks: { concurrency: 0 } },
      'Option "backgroundTasks.concurrency" of OrchestratorModule is 0 and must be a whole number from 1.',
    ],
    [{ maxRecoveries: NaN }, 'Option "maxRecoveries" of OrchestratorModule is NaN and must be a whole number from 0.'],
    [
      { database: { home: 'nowhere', poolSize: 0 } },
      'Option "database.poolSize" of OrchestratorModule is 0 and must be a whole number from 1.',
    ],
    [
      { cancellationTimeout: '10ms' },
      'Option "cancellationTimeout" of OrchestratorModule is 10ms and must be at least 1s.',
    ] as const,
    [
      { runHeartbeat: '10ms' },
      'Option "runHeartbeat" of OrchestratorModule is 10ms and must be from 1s to 24h.',
    ] as const,
  ])('%j are refused', async (options, message) => {
    const orchestrator = OrchestratorModule.forRoot({ database: { url: database.url }, ...options });
    await expect(runsIn(orchestrator)).rejects.toMatchObject({ code: 'INVALID_OPTION', message });
  });

  describe('with a direct URL', () => {
    const withDirectUrl = (directUrl: string) =>
      runsIn(OrchestratorModule.forRoot({ database: { url: database.url, directUrl } }));

    it('are refused when it is none', async () => {
      await expect(withDirectUrl('mysql://user:secret@db/nestor')).rejects.toMatchObject({
        code: 'DATABASE_URL_INVALID',
        message:
          'The direct database URL does not start with postgres://; it should look like postgres://user:password@host:5432/database.',
      });
    });

    it('are refused when it leads to another database', async () => {
      const other = await testDatabase();
      try {
        const refusal: unknown = await withDirectUrl(other.url).catch((error: unknown) => error);
        expect(refusal).toBeInstanceOf(DirectDatabaseUrlError);
        expect(refusal).toMatchObject({
          code: 'DATABASE_URLS_DIFFER',
          directAddress: expect.stringContaining(new URL(other.url).pathname),
        });
      } finally {
        await other.drop();
      }
    });

    it('are refused when nothing answers there', async () => {
      await expect(withDirectUrl('postgres://nestor@127.0.0.1:1/nestor')).rejects.toMatchObject({
        code: 'DATABASE_UNREACHABLE',
      });
    });

    it('are taken when both lead to the same', async () => {
      expect(await withDirectUrl(database.url)).toEqual(['Greeter.greet Completed']);
    });
  });
});
