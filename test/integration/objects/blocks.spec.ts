import { inspect } from 'node:util';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Module, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Block, Blocks, Flows, OrchestratorModule, Secret, SecretField } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { Type } from 'class-transformer';
import { IsInt, IsString, Max, Min, ValidateNested } from 'class-validator';
import { startApp, type TestAppOptions } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { RecordingLogger } from '../../support/recording-logger.js';
import { sql } from '../../support/sql.js';
import { Stage } from '../../support/stage.js';

const PLAIN = 'correct-horse-battery-staple';
const newKey = (): string => randomBytes(32).toString('base64');

class Account {
  @IsString()
  user!: string;

  @SecretField()
  token!: Secret;
}

@Block({ slug: 'mail-server', name: 'Mail server', capabilities: ['notify'] })
class MailServer {
  @IsString()
  host!: string;

  @IsInt()
  @Min(1)
  @Max(65_535)
  port = 587;

  @SecretField({ optional: true })
  password?: Secret;

  @ValidateNested()
  @Type(() => Account)
  accounts: Account[] = [];

  get address(): string {
    return `${this.host}:${this.port}`;
  }
}

@Block({ slug: 'certificate' })
class Certificate {
  @SecretField()
  content!: Secret<{ readonly pem: string; readonly chain: readonly string[] }>;
}

@Block({ slug: 'bucket' })
class Bucket {
  @IsString()
  name!: string;
}

const mailServer = (fields: Partial<MailServer> = {}): MailServer =>
  Object.assign(new MailServer(), { host: 'mail.example', password: new Secret(PLAIN) }, fields);
const account = (user: string, token: string): Account =>
  Object.assign(new Account(), { user, token: new Secret(token) });

describe('blocks', () => {
  let database: TestDatabase;
  const apps: INestApplicationContext[] = [];
  const key = newKey();
  let blocks: Blocks;
  beforeAll(async () => (database = await testDatabase()));
  beforeEach(async () => {
    await sql(database, 'truncate nestor.block_document, nestor.block_schema, nestor.block_type');
    blocks = (await start({ secretKey: key })).get(Blocks);
  });
  afterEach(() => Promise.all(apps.splice(0).map((app) => app.close())));
  afterAll(() => database.drop());

  const start = async (options: Partial<TestAppOptions> = {}): Promise<INestApplicationContext> => {
    const app = await startApp({ url: database.url, ...options });
    apps.push(app);
    return app;
  };
  /** Everything about blocks that the database holds, as text. */
  const everything = async (): Promise<string> => {
    const tables = ['block_document', 'block_schema', 'block_type'];
    const rows = await Promise.all(
      tables.map((table) => sql(database, `select t::text as row from nestor.${table} t`)),
    );
    return JSON.stringify(rows);
  };
  const failure = (work: Promise<unknown>): Promise<Record<string, unknown>> =>
    work.then(
      (value) => Promise.reject(new Error(`It gave ${inspect(value)}.`)),
      (error: unknown) => error as Record<string, unknown>,
    );

  it('come back as instances of their class, with their secrets [A04]', async () => {
    const saved = mailServer({ port: 25, accounts: [account('ada', 'one'), account('bob', 'two')] });
    await blocks.save('main', saved);
    const loaded = await (await start({ secretKey: key })).get(Blocks).load(MailServer, 'main');
    expect(loaded).toBeInstanceOf(MailServer);
    expect(loaded.address).toBe('mail.example:25');
    expect(loaded.password!.reveal()).toBe(PLAIN);
    expect(loaded.accounts.map((one) => [one.constructor, one.user, one.token.reveal()])).toEqual([
      [Account, 'ada', 'one'],
      [Account, 'bob', 'two'],
    ]);
  });

  it('may have secrets that are more than texts', async () => {
    const content = { pem: PLAIN, chain: ['a', 'b “😀”\0'] };
    await blocks.save('own', Object.assign(new Certificate(), { content: new Secret(content) }));
    expect((await blocks.load(Certificate, 'own')).content.reveal()).toEqual(content);
    expect(await everything()).not.toContain(PLAIN);
  });

  it('register their type and the schema of their fields [A04]', async () => {
    await blocks.save('one', mailServer());
    await blocks.save('two', mailServer());
    const types = await sql(database, 'select slug, name from nestor.block_type');
    expect(types).toEqual([{ slug: 'mail-server', name: 'Mail server' }]);
    const schemas = await sql(
      database,
      `select s.checksum, s.version, s.capabilities, s.fields->'secret_fields' as secret_fields
         from nestor.block_schema s join nestor.block_type t on t.id = s.block_type_id`,
    );
    expect(schemas).toEqual([
      {
        checksum: expect.stringMatching(/^sha256:/),
        version: 'non-versioned',
        capabilities: ['notify'],
        secret_fields: ['password'],
      },
    ]);
    const documents = await sql(database, 'select distinct block_type_id, block_schema_id from nestor.block_document');
    expect(documents).toHaveLength(1);
  });

  it('keep no secret in clear, nor the key [X04]', async () => {
    await blocks.save('main', mailServer({ accounts: [account('ada', `${PLAIN} too`)] }));
    const stored = await everything();
    expect(stored).toContain('mail.example');
    for (const form of [
      PLAIN,
      Buffer.from(PLAIN).toString('base64').slice(0, -4),
      Buffer.from(PLAIN).toString('hex'),
      key,
    ]) {
      expect(stored).not.toContain(form);
    }
    const [row] = await sql<{ data: object; secrets: object }>(
      database,
      'select data, secrets from nestor.block_document',
    );
    expect(row!.data).toEqual({ host: 'mail.example', port: 587, accounts: [{ user: 'ada' }] });
    expect(Object.keys(row!.secrets).sort()).toEqual(['/accounts/0/token', '/password']);
  });

  it('show asterisks to people, without a key even [A04]', async () => {
    const id = await blocks.save('main', mailServer({ accounts: [account('ada', PLAIN)] }));
    const keyless = (await start()).get(Blocks);
    const document = {
      ...{ id, slug: 'mail-server', name: 'main', created: expect.any(Number), updated: expect.any(Number) },
      data: {
        host: 'mail.example',
        port: 587,
        password: '********',
        accounts: [{ user: 'ada', token: '********' }],
      },
    };
    expect(await keyless.loadRaw(MailServer, 'main')).toEqual(document);
    expect(await keyless.loadRaw('mail-server', 'main')).toEqual(document);
    expect(await keyless.list()).toEqual([document]);
  });

  it('show their secrets to nobody who does not ask: not JSON, not logs, not what is recorded of runs', async () => {
    const logger = new RecordingLogger();
    const app = await start({ secretKey: key, providers: [Stage], logger });
    await blocks.save('main', mailServer());
    const stage = app.get(Stage);
    stage.perform = async () => app.get(Blocks).load(MailServer, 'main');
    stage.script = async () => {
      const server = await app.get(Blocks).load(MailServer, 'main');
      logger.log(inspect(server), JSON.stringify(server), `${String(server.password)}`);
      await stage.act(server);
      throw Object.assign(new Error(`cannot reach ${JSON.stringify(server)}`), { server });
    };
    const handle = await app.get(Flows).start(Stage, 'play');
    await failure(handle.result());
    expect(logger.lines.length).toBeGreaterThan(0);
    expect(JSON.stringify(logger.lines)).not.toContain(PLAIN);
    const recorded = await sql(
      database,
      `select result::text from nestor.flow_run union all select result::text from nestor.task_run
       union all select message from nestor.log union all select message from nestor.flow_run_state`,
    );
    expect(recorded.length).toBeGreaterThan(2);
    expect(JSON.stringify(recorded)).toContain('********');
    expect(JSON.stringify(recorded)).not.toContain(PLAIN);
  });

  it('are refused with a plain text where a secret belongs, and nothing is kept [X04]', async () => {
    const plain = mailServer({ password: PLAIN as unknown as Secret });
    const error = await failure(blocks.save('main', plain));
    expect(error).toMatchObject({
      code: 'INVALID_BLOCK',
      block: 'mail-server/main',
      problems: ['password must be a Secret: new Secret(…)'],
    });
    expect(inspect(error, { depth: 9 })).not.toContain(PLAIN);
    expect(await blocks.list()).toEqual([]);
  });

  it('are refused when they are not valid, without quoting what is wrong', async () => {
    const wrong = mailServer({ port: 70_000, accounts: [Object.assign(account('ada', PLAIN), { user: 5 })] });
    const error = await failure(blocks.save('main', wrong));
    expect(error).toMatchObject({
      code: 'INVALID_BLOCK',
      problems: ['port must not be greater than 65535', 'accounts.0.user: user must be a string'],
    });
    expect(inspect(error, { depth: 9 })).not.toMatch(/horse|70.?000/);
    expect(await failure(blocks.save('a/b', mailServer()))).toMatchObject({ code: 'INVALID_BLOCK' });
    expect(await failure(blocks.save('main', {}))).toMatchObject({ code: 'NOT_A_BLOCK' });
    expect(await failure(blocks.load(Account, 'main'))).toMatchObject({ code: 'NOT_A_BLOCK' });
    expect(await blocks.list()).toEqual([]);
  });

  it('are refused on loading when they are not what their class says by now', async () => {
    await blocks.save('main', mailServer());
    await sql(database, `update nestor.block_document set data = data || '{"port": "many"}', secrets = '{}'`);
    const error = await failure(blocks.load(MailServer, 'main'));
    expect(error).toMatchObject({ code: 'INVALID_BLOCK', block: 'mail-server/main' });
    expect(error.message).toMatch(/port must be an integer number/);
  });

  it('are overwritten as a whole, only by who says so, and keep their id', async () => {
    const id = await blocks.save('main', mailServer({ accounts: [account('ada', 'one')] }));
    expect(await failure(blocks.save('main', mailServer({ port: 1 })))).toMatchObject({
      code: 'BLOCK_EXISTS',
      block: 'mail-server/main',
    });
    expect(await blocks.load(MailServer, 'main')).toMatchObject({ port: 587 });
    expect(await blocks.save('main', mailServer({ port: 2 }), { overwrite: true })).toBe(id);
    const loaded = await blocks.load(MailServer, 'main');
    expect(loaded).toMatchObject({ port: 2, accounts: [] });
    expect(loaded.password!.reveal()).toBe(PLAIN);
  });

  it('are deleted, listed by type and page by page, and not found', async () => {
    const ids = [];
    for (const name of ['a', 'b', 'c']) ids.push(await blocks.save(name, mailServer()));
    const bucket = await blocks.save('a', Object.assign(new Bucket(), { name: 'x' }));
    const listed = async (...page: Parameters<Blocks['list']>) => (await blocks.list(...page)).map(({ id }) => id);
    expect(await listed()).toEqual([...ids, bucket]);
    expect(await listed({ type: 'bucket' })).toEqual([bucket]);
    expect(await listed({ type: MailServer, limit: 1, after: ids[0]! })).toEqual([ids[1]]);
    await expect(blocks.list({ after: 'x' })).rejects.toMatchObject({ code: 'INVALID_QUERY' });

    expect(await blocks.delete(MailServer, 'a')).toBe(true);
    expect(await blocks.delete('mail-server', 'a')).toBe(false);
    expect(await listed()).toEqual([...ids.slice(1), bucket]);
    expect(await failure(blocks.load(MailServer, 'a'))).toMatchObject({
      code: 'BLOCK_NOT_FOUND',
      block: 'mail-server/a',
    });
    expect(await failure(blocks.loadRaw('nothing', 'a'))).toMatchObject({ code: 'BLOCK_NOT_FOUND' });
  });

  describe('that two processes save at once', () => {
    const save = async (others: Blocks, options?: { overwrite: boolean }): Promise<PromiseSettledResult<string>[]> =>
      Promise.allSettled(
        Array.from({ length: 30 }, (_, index) => {
          const one = mailServer({ port: index + 1, password: new Secret(`password ${index + 1}`) });
          return (index % 2 ? blocks : others).save('race', one, options);
        }),
      );

    it('are saved once', async () => {
      const results = await save((await start({ secretKey: key })).get(Blocks));
      const winners = results.flatMap(({ status }, index) => (status === 'fulfilled' ? [index + 1] : []));
      const { port, password } = await blocks.load(MailServer, 'race');
      expect(winners).toEqual([port]);
      expect(password!.reveal()).toBe(`password ${port}`);
      for (const one of results)
        if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'BLOCK_EXISTS' });
    });

    it('are one of those that were saved, when each may overwrite the other', async () => {
      const results = await save((await start({ secretKey: key })).get(Blocks), { overwrite: true });
      const ids = results.map((one) => (one.status === 'fulfilled' ? one.value : String(one.reason)));
      expect(new Set(ids).size).toBe(1);
      const { port, password } = await blocks.load(MailServer, 'race');
      expect(password!.reveal()).toBe(`password ${port}`);
    });
  });

  describe('and their keys', () => {
    it('rotate: the first encrypts, all decrypt, and what an earlier one encrypted can be encrypted anew [X04]', async () => {
      await blocks.save('old', mailServer());
      await blocks.save('bare', Object.assign(new Bucket(), { name: 'x' }));
      const later = newKey();
      const rotated = (await start({ secretKey: `${later},${key}` })).get(Blocks);
      const onlyLater = (await start({ secretKey: later })).get(Blocks);
      await rotated.save('new', mailServer());
      expect((await rotated.load(MailServer, 'old')).password!.reveal()).toBe(PLAIN);
      expect((await onlyLater.load(MailServer, 'new')).password!.reveal()).toBe(PLAIN);
      expect(await failure(onlyLater.load(MailServer, 'old'))).toMatchObject({ code: 'SECRET_UNREADABLE' });

      expect(await rotated.reencrypt()).toBe(1);
      expect(await rotated.reencrypt()).toBe(0);
      expect((await onlyLater.load(MailServer, 'old')).password!.reveal()).toBe(PLAIN);
      expect(await failure(blocks.load(MailServer, 'old'))).toMatchObject({ code: 'SECRET_UNREADABLE' });
    });

    it('that are wrong are told from what was changed or moved, and nothing is shown [X04]', async () => {
      await blocks.save('one', mailServer({ accounts: [account('ada', 'other')] }));
      await blocks.save('two', mailServer());
      const another = (await start({ secretKey: { id: 'mine', key: newKey() } })).get(Blocks);
      const error = await failure(another.load(MailServer, 'one'));
      expect(error).toMatchObject({
        code: 'SECRET_UNREADABLE',
        message: expect.stringMatching(
          /\/password of block "mail-server\/one".*encrypted with the key "\w+", and there are only mine/,
        ),
      });
      expect(inspect(error, { depth: 9 })).not.toContain(PLAIN);

      const moved = `update nestor.block_document d set secrets = o.secrets from nestor.block_document o
                      where d.name = 'two' and o.name = 'one'`;
      await sql(database, moved);
      expect(await failure(blocks.load(MailServer, 'two'))).toMatchObject({ code: 'SECRET_UNREADABLE' });
      await sql(
        database,
        `update nestor.block_document set secrets =
           jsonb_build_object('/password', secrets->'/accounts/0/token', '/accounts/0/token', secrets->'/password')
          where name = 'one'`,
      );
      expect(await failure(blocks.load(MailServer, 'one'))).toMatchObject({ code: 'SECRET_UNREADABLE' });
    });

    it('are missing with a server of one’s own and no option: nothing is kept in clear [X04]', async () => {
      const keyless = (await start()).get(Blocks);
      expect(await failure(keyless.save('main', mailServer()))).toMatchObject({ code: 'SECRET_KEY_MISSING' });
      expect(await keyless.list()).toEqual([]);
      await blocks.save('main', mailServer());
      expect(await failure(keyless.load(MailServer, 'main'))).toMatchObject({ code: 'SECRET_KEY_MISSING' });
      await keyless.save('bare', Object.assign(new Bucket(), { name: 'x' }));
      expect(await keyless.load(Bucket, 'bare')).toMatchObject({ name: 'x' });
    });

    it('that are none stop the start', async () => {
      const error = await failure(start({ secretKey: PLAIN }));
      expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'secretKey' });
      expect(error.message).not.toContain(PLAIN);
    });

    it('are in a file beside the embedded database [X04]', async () => {
      const home = mkdtempSync(join(tmpdir(), 'nestor-blocks-'));
      @Module({ imports: [OrchestratorModule.forRoot({ database: { home } })] })
      class App {}
      try {
        for (const name of ['first', 'second']) {
          const app = await NestFactory.createApplicationContext(App, { abortOnError: false, logger: false });
          await app.get(Blocks).save(name, mailServer());
          expect((await app.get(Blocks).load(MailServer, 'first')).password!.reveal()).toBe(PLAIN);
          await app.close();
        }
        expect(statSync(join(home, 'secret.key')).mode & 0o777).toBe(0o600);
      } finally {
        rmSync(home, { recursive: true });
      }
    });
  });
});
