import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { currentRun, Flow, FlowRuns, quote, submit, Task, toMermaid } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';

const UNKNOWN_ID = '01a201cf-f4dd-7000-98e7-1976c9bbcf07';

@Injectable()
class Kitchen {
  body: () => Promise<unknown> = async () => undefined;

  @Flow()
  async cook(): Promise<string> {
    await this.body();
    return currentRun().flowRunId!;
  }

  @Flow({ name: 'side dish' })
  async sideDish(): Promise<void> {}

  @Task({ runName: 'cut {0}' })
  async cut(what: string): Promise<{ what: string }> {
    return { what };
  }

  @Task({ runName: 'fry' })
  async fry(things: readonly { what: string }[]): Promise<number> {
    await this.cut('garlic');
    return things.length;
  }

  @Task({ runName: 'serve' })
  async serve(portions: number): Promise<number> {
    return portions;
  }
}

describe('the graph of a run', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let kitchen: Kitchen;
  let runs: FlowRuns;

  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url, providers: [Kitchen] });
    kitchen = app.get(Kitchen);
    runs = app.get(FlowRuns);
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  const cooked = (body: () => Promise<unknown>): Promise<string> => {
    kitchen.body = body;
    return kitchen.cook();
  };

  it('has its task runs, what called them and what they got from each other [F20]', async () => {
    const id = await cooked(async () => {
      const onion = await kitchen.cut('onion');
      const portions = submit(kitchen).fry([onion, await kitchen.cut('carrot')]);
      await submit(kitchen, { waitFor: [portions] })
        .serve(quote(2))
        .result();
      await kitchen.sideDish();
    });
    const graph = await runs.graph(id);
    expect(graph).toMatchObject({ flowRunId: id, isComplete: true });
    const [onion, carrot, fry, garlic, serve, side] = graph.nodes;
    expect(graph.nodes).toMatchObject([
      { name: 'cut onion', taskKey: 'Kitchen.cut', parentId: null, stateType: 'COMPLETED', stateName: 'Completed' },
      { name: 'cut carrot' },
      { name: 'fry', parentId: null },
      { name: 'cut garlic', parentId: fry!.id },
      { name: 'serve' },
      { name: expect.stringMatching(/^side dish-/), taskKey: 'flow:side dish' },
    ]);
    expect(graph.edges).toEqual([
      { from: onion!.id, to: fry!.id, input: '0' },
      { from: carrot!.id, to: fry!.id, input: '0' },
      { from: fry!.id, to: serve!.id, input: 'wait_for' },
    ]);
    const text = toMermaid(graph);
    for (const { name } of [onion!, carrot!, fry!, garlic!, serve!, side!]) expect(text).toContain(`"${name}<br/>`);
  });

  it('says when there is more than it shows, and leads to nothing that it does not show', async () => {
    const id = await cooked(async () => kitchen.fry([await kitchen.cut('onion'), await kitchen.cut('leek')]));
    const all = await runs.graph(id, { limit: 4 });
    expect(all).toMatchObject({ isComplete: true, edges: [{}, {}] });
    const some = await runs.graph(id, { limit: 2 });
    expect(some).toMatchObject({ isComplete: false, nodes: all.nodes.slice(0, 2), edges: [] });
  });

  it('of a run without task runs is empty, and of no run there is none', async () => {
    expect(await runs.graph(await cooked(async () => undefined))).toMatchObject({ nodes: [], edges: [] });
    for (const id of [UNKNOWN_ID, 'no id at all']) {
      await expect(runs.graph(id)).rejects.toMatchObject({ code: 'FLOW_RUN_NOT_FOUND' });
    }
  });

  it.each([0, 10_001, 1.5])('cannot be asked for with %d task runs', async (limit) => {
    await expect(runs.graph(UNKNOWN_ID, { limit })).rejects.toMatchObject({ code: 'INVALID_QUERY' });
  });
});
