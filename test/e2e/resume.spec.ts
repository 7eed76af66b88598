import { Injectable, type INestApplication, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { ApiModule } from '@nestor/api';
import { Flow, Flows, suspend, type FlowRunHandle } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { IsBoolean, IsInt, IsOptional, Max } from 'class-validator';
import { startApp, testModule } from '../support/app.js';
import { testDatabase } from '../support/database.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { waitFor } from '../support/wait-for.js';
import { ask } from './support/api.js';

class Approval {
  @IsBoolean()
  approved!: boolean;

  @IsOptional()
  @IsInt()
  @Max(100)
  discount = 5;
}

@Injectable()
class Orders {
  @Flow()
  async order(): Promise<unknown> {
    const approval = await suspend({ input: Approval, description: 'May it be shipped?' });
    return [approval instanceof Approval, { ...approval }];
  }

  @Flow()
  async greet(): Promise<string> {
    return 'hello';
  }
}

/** The process that answers has neither the flow nor the class of its input: all it knows is in the database. */
describe('a run that is resumed over HTTP', () => {
  let database: TestDatabase;
  let worker: INestApplicationContext;
  let server: INestApplication;
  let api: string;

  beforeAll(async () => {
    database = await testDatabase();
    const logger = new RecordingLogger();
    worker = await startApp({ url: database.url, app: 'shop', providers: [Orders] });
    const module = testModule({
      url: database.url,
      app: 'shop',
      imports: [ApiModule.forRoot({ auth: null, allowedHosts: [] })],
    });
    server = await NestFactory.create(module, new FastifyAdapter(), { logger, abortOnError: false });
    await server.listen(0, '127.0.0.1');
    api = await server.getUrl();
  });
  afterAll(async () => {
    await Promise.all([server.close(), worker.close()]);
    await database.drop();
  });

  const resume = (id: string, body: unknown): ReturnType<typeof ask> =>
    ask(`${api}/flow_runs/${id}/resume`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  const suspended = async (): Promise<FlowRunHandle<unknown>> => {
    const run = await worker.get(Flows).start(Orders, 'order');
    await waitFor(async () => (await ask(`${api}/flow_runs/${run.id}`)).body.state_name === 'Suspended');
    return run;
  };

  it('goes on with the JSON of a form that is made of its schema, and with the same JSON from anywhere [H06]', async () => {
    const [byForm, byHand] = [await suspended(), await suspended()];
    const { states } = (await ask(`${api}/flow_runs/${byForm.id}`)).body;
    const keys = states.at(-1).state_details.run_input_keyset;
    const schema = (await ask(`${api}/flow_runs/${byForm.id}/input/${keys.schema}`)).body;
    const description = await ask(`${api}/flow_runs/${byForm.id}/input/${keys.description}`);
    expect(description.text).toContain('May it be shipped?');
    expect(schema).toMatchObject({
      required: ['approved'],
      properties: { approved: { type: 'boolean' }, discount: { type: 'integer', maximum: 100, default: 5 } },
    });
    // What a form has for its fields: the defaults of the schema, and what somebody ticked.
    const fields = Object.entries<{ default?: unknown }>(schema.properties);
    const filled = { ...Object.fromEntries(fields.map(([name, field]) => [name, field.default])), approved: true };

    const answers = [await resume(byForm.id, { run_input: filled }), await resume(byHand.id, { run_input: filled })];
    for (const { status, body } of answers) {
      expect(status).toBe(200);
      expect(body).toMatchObject({
        status: 'ACCEPT',
        details: { type: 'accept_details' },
        state: { type: 'SCHEDULED', name: 'Resuming' },
      });
    }
    const outcomes = await Promise.all([byForm, byHand].map((run) => run.result({ timeout: '15s' })));
    expect(outcomes).toEqual([
      [true, { approved: true, discount: 5 }],
      [true, { approved: true, discount: 5 }],
    ]);
  });

  it('stays paused when it is told something else than it asks for, and says what is wrong', async () => {
    const run = await suspended();
    const answer = await resume(run.id, { run_input: { approved: 'perhaps', discount: 101 } });
    expect(answer.body).toMatchObject({ state: null, status: 'REJECT', details: { type: 'reject_details' } });
    expect(answer.body.details.reason).toMatch(/approved.*discount/s);
    expect((await ask(`${api}/flow_runs/${run.id}`)).body.state_name).toBe('Suspended');
    await resume(run.id, { run_input: { approved: false } });
    expect(await run.result({ timeout: '15s' })).toEqual([true, { approved: false, discount: 5 }]);
  });

  it('is left alone when it is not paused', async () => {
    const run = await worker.get(Flows).start(Orders, 'greet');
    await run.result();
    expect((await resume(run.id, {})).body).toMatchObject({ state: null, status: 'ABORT' });
  });

  it.each([
    ['a body that is none', { run_input: 'yes' }, 422],
    ['a run nobody knows', {}, 404],
  ])('is answered with an error to %s', async (_, body, status) => {
    expect((await resume('018f0000-0000-7000-8000-00000000dead', body)).status).toBe(status);
  });

  it('has no input under a key that it did not name', async () => {
    const answer = await ask(`${api}/flow_runs/018f0000-0000-7000-8000-00000000dead/input/nothing`);
    expect(answer).toMatchObject({ status: 404, body: { code: 'RUN_INPUT_NOT_FOUND' } });
  });
});
