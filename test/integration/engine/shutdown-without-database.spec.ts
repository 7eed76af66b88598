import type { INestApplicationContext } from '@nestjs/common';
import { currentRun } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { DatabaseProxy } from '../../support/database-proxy.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { Stage } from '../../support/stage.js';

/** How a database may be gone. */
const WAYS = {
  'refuses connections': (proxy: DatabaseProxy) => proxy.cut(),
  'never answers': (proxy: DatabaseProxy) => proxy.freeze(),
} as const;
type Way = keyof typeof WAYS;
const ways = Object.keys(WAYS) as Way[];

/** How long `app.close()` took, and what became of the run that went on. */
interface Ending {
  readonly elapsedMs: number;
  readonly outcome: unknown;
}

/** A drain of 50 ms, and what is tried within some ten seconds. */
const AT_MOST_MS = 12_000;

describe('app.close() when the database is gone', () => {
  let database: TestDatabase;
  const gates: Gate[] = [];
  const proxies: DatabaseProxy[] = [];
  let running: Map<Way, Promise<Ending>>;
  let logging: Map<Way, Promise<Ending>>;
  let idle: Promise<Ending>;

  /** An application, and a database that leaves in that way. */
  const start = async (way: Way) => {
    const proxy = await DatabaseProxy.start(database);
    proxies.push(proxy);
    const gate = new Gate();
    gates.push(gate);
    const app = await startApp({ url: proxy.url, providers: [Stage], drain: '50ms' });
    return { app, gate, stage: app.get(Stage), leave: () => WAYS[way](proxy) };
  };
  const close = async (app: INestApplicationContext, calling: Promise<unknown>): Promise<Ending> => {
    const outcome = calling.catch((error: unknown) => error);
    const began = performance.now();
    await app.close();
    return { elapsedMs: performance.now() - began, outcome: await outcome };
  };

  // They wait for a database that does not answer: all of them at the same time.
  beforeAll(async () => {
    database = await testDatabase();
    const ofEach = (ending: (way: Way) => Promise<Ending>): Map<Way, Promise<Ending>> =>
      new Map(ways.map((way) => [way, ending(way)]));
    running = ofEach(async (way) => {
      const { app, gate, stage, leave } = await start(way);
      stage.script = () => gate.pass();
      const calling = stage.play();
      await gate.reached;
      leave();
      return close(app, calling);
    });
    logging = ofEach(async (way) => {
      const { app, gate, stage, leave } = await start(way);
      stage.script = async () => {
        const { logger } = currentRun();
        leave();
        for (let line = 0; line < 3_000; line += 1) logger.debug(`line ${line}`);
        await gate.pass();
      };
      const calling = stage.play();
      await gate.reached;
      return close(app, calling);
    });
    idle = (async () => {
      const { app, stage, leave } = await start('refuses connections');
      await stage.play();
      leave();
      return close(app, Promise.resolve());
    })();
    await Promise.allSettled([...running.values(), ...logging.values(), idle]);
  }, 60_000);
  afterAll(async () => {
    for (const gate of gates) gate.open();
    for (const proxy of proxies) proxy.close();
    await database.drop();
  });

  it.each(ways)('resolves all the same within the drain and some ten seconds: it %s', async (way) => {
    const { elapsedMs, outcome } = (await running.get(way))!;
    expect(elapsedMs).toBeLessThan(AT_MOST_MS);
    expect(outcome).toBeInstanceOf(Error);
  });

  it.each(ways)('resolves just as soon when many lines wait to be written: it %s', async (way) => {
    const { elapsedMs, outcome } = (await logging.get(way))!;
    expect(elapsedMs).toBeLessThan(AT_MOST_MS);
    expect(outcome).toBeInstanceOf(Error);
  });

  it('resolves when nothing runs', async () => {
    expect((await idle).elapsedMs).toBeLessThan(AT_MOST_MS);
  });
});
