// What must not compile, and what must: checked by `npm run check:types`, never run.
import { block, Flow, json, Schedule, template, variable, type Deployments, type Secret } from '@nestor/orchestrator';

interface Order {
  readonly id: number;
  readonly items: string[];
  readonly speed?: 'slow' | 'fast';
}

declare class Server {
  host: string;
  key: Secret;
}

class Declared {
  @Flow({
    deployments: [
      {
        name: 'nightly',
        parameters: { id: 1, items: ['a'], speed: 'fast' },
        tags: ['night'],
        concurrency: { limit: 1, onCollision: 'CANCEL_NEW' },
        schedules: [
          { cron: '0 2 * * *', timezone: 'Europe/Amsterdam', parameters: { id: 2 }, overlap: 'skip', slug: 'two' },
          { interval: '1h', anchor: '2026-01-01T00:30:00Z', catchUp: 'all', catchUpWindow: '1d' },
          { rrule: 'FREQ=DAILY', jitter: '5m', maxScheduledRuns: 5 },
        ],
      },
      { name: 'by hand', workPool: { name: 'heavy', queue: 'slow' } },
    ],
  })
  async good(order: Order): Promise<void> {
    void order;
  }

  @Flow({ deployments: [{ name: 'positions', parameters: { 0: 'a', 1: 2 } }] })
  async goodByPosition(one: string, other?: number): Promise<void> {
    void [one, other];
  }

  @Flow({ deployments: [{ name: 'fair', fairness: { key: 'id', weights: { 1: 2 }, concurrency: 2 } }] })
  async goodKey(order: Order): Promise<void> {
    void order;
  }

  @Flow({ deployments: [{ name: 'fair', fairness: { key: 'customer.country' } }] })
  async goodPath(order: { customer: { country: string; names: string[] } }): Promise<void> {
    void order;
  }

  @Flow({ deployments: [{ name: 'fair', fairness: { key: '0' } }] })
  async goodKeyByPosition(tenant: string, other: object): Promise<void> {
    void [tenant, other];
  }

  // @ts-expect-error the order has no such field
  @Flow({ deployments: [{ name: 'x', fairness: { key: 'tenant' } }] })
  async unknownKey(order: Order): Promise<void> {
    void order;
  }

  // @ts-expect-error a list is no key
  @Flow({ deployments: [{ name: 'x', fairness: { key: 'items' } }] })
  async keyThatIsAList(order: Order): Promise<void> {
    void order;
  }

  // @ts-expect-error a rate has a period
  @Flow({ deployments: [{ name: 'x', fairness: { key: 'id', rate: { limit: 1 } } }] })
  async rateWithoutPeriod(order: Order): Promise<void> {
    void order;
  }

  @Flow({
    deployments: [
      {
        name: 'looked up',
        parameters: { id: variable('id'), items: ['a', variable<string>('item'), template('{{ flow.name }}')] },
        schedules: [
          { cron: '@daily', parameters: { items: json<string[]>('["a"]'), speed: variable<'slow'>('speed') } },
        ],
      },
    ],
  })
  @Schedule('@hourly', { parameters: { id: variable<number>('id') } })
  async goodReferences(order: Order): Promise<void> {
    void order;
  }

  @Flow({
    deployments: [{ name: 'x', parameters: { server: block(Server, 'main'), key: block(Server, 'main', 'key') } }],
  })
  async goodBlocks(given: { server: Server; key: Secret }): Promise<void> {
    void given;
  }

  // @ts-expect-error an id is a number
  @Flow({ deployments: [{ name: 'x', parameters: { id: template('{{ variables.id }}') } }] })
  async referenceOfAnotherType(order: Order): Promise<void> {
    void order;
  }

  // @ts-expect-error a key is a secret
  @Flow({ deployments: [{ name: 'x', parameters: { key: block(Server, 'main', 'key') } }] })
  async secretForAText(given: { key: string }): Promise<void> {
    void given;
  }

  @Flow<Declared['typed']>({ deployments: [{ name: 'typed', parameters: { id: 1 } }] })
  async typed(order: Order): Promise<void> {
    void order;
  }

  @Flow()
  @Schedule('0 9 * * 1-5', { timezone: 'Europe/Amsterdam', parameters: { id: 5 } })
  @Schedule({ interval: '30m', slug: 'often' })
  async scheduled(order: Order): Promise<void> {
    void order;
  }

  // @ts-expect-error the order has no such field
  @Flow({ deployments: [{ name: 'x', parameters: { number: 1 } }] })
  async unknownParameter(order: Order): Promise<void> {
    void order;
  }

  // @ts-expect-error an id is a number
  @Flow({ deployments: [{ name: 'x', parameters: { id: 'one' } }] })
  async parameterOfAnotherType(order: Order): Promise<void> {
    void order;
  }

  // @ts-expect-error there is no such speed
  @Flow({ deployments: [{ name: 'x', parameters: { speed: 'furious' } }] })
  async literalOfAnotherType(order: Order): Promise<void> {
    void order;
  }

  // @ts-expect-error nor do its schedules have it
  @Flow({ deployments: [{ name: 'x', schedules: [{ cron: '* * * * *', parameters: { number: 1 } }] }] })
  async unknownParameterOfASchedule(order: Order): Promise<void> {
    void order;
  }

  // @ts-expect-error there are two arguments
  @Flow({ deployments: [{ name: 'x', parameters: { 2: 'c' } }] })
  async noSuchPosition(one: string, other: number): Promise<void> {
    void [one, other];
  }

  // @ts-expect-error arguments go by position
  @Flow({ deployments: [{ name: 'x', parameters: { one: 'a' } }] })
  async nameOfAPosition(one: string): Promise<void> {
    void one;
  }

  // @ts-expect-error a deployment has a name
  @Flow({ deployments: [{ parameters: {} }] })
  async withoutName(): Promise<void> {}

  // @ts-expect-error there is no such option
  @Flow({ deployments: [{ name: 'x', parameter: {} }] })
  async unknownOption(): Promise<void> {}

  // @ts-expect-error nor has a schedule one of that name
  @Flow({ deployments: [{ name: 'x', schedules: [{ cron: '* * * * *', timeZone: 'UTC' }] }] })
  async unknownOptionOfASchedule(): Promise<void> {}

  // @ts-expect-error a schedule says when
  @Flow({ deployments: [{ name: 'x', schedules: [{ timezone: 'UTC' }] }] })
  async withoutTimes(): Promise<void> {}

  // @ts-expect-error it does one of five things
  @Flow({ deployments: [{ name: 'x', schedules: [{ cron: '* * * * *', overlap: 'queue' }] }] })
  async unknownOverlap(): Promise<void> {}

  // @ts-expect-error the order has no such field
  @Schedule('* * * * *', { parameters: { number: 1 } })
  async scheduledWithUnknownParameter(order: Order): Promise<void> {
    void order;
  }

  // @ts-expect-error nor with the parameters beside the times
  @Schedule({ interval: '1h', parameters: { id: 'one' } })
  async scheduledWithAnotherType(order: Order): Promise<void> {
    void order;
  }

  // @ts-expect-error there is no such option
  @Schedule('* * * * *', { timeZone: 'UTC' })
  async scheduledWithUnknownOption(): Promise<void> {}
}

// @ts-expect-error a server has no such field
block(Server, 'main', 'keys');

declare const deployments: Deployments;

export async function calls(): Promise<void> {
  await deployments.save(Declared, 'good', { name: 'x', parameters: { id: 1 }, schedules: [{ cron: '@daily' }] });
  // @ts-expect-error the order has no such field
  await deployments.save(Declared, 'good', { name: 'x', parameters: { number: 1 } });
  await deployments.save(Declared, 'good', { name: 'x', fairness: { key: 'speed', defaultWeight: 2 } });
  // @ts-expect-error the order has no such field
  await deployments.save(Declared, 'good', { name: 'x', fairness: { key: 'tenant' } });
  // @ts-expect-error there is no such flow
  await deployments.save(Declared, 'better', { name: 'x' });
  const run = await deployments.run<number>('a/b', { parameters: { id: 1 }, in: '1h', idempotencyKey: 'k' });
  (await run.result()).toFixed();
  // @ts-expect-error there is no such option
  await deployments.run('a/b', { delay: '1h' });
}
