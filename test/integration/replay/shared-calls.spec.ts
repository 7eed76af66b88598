import { Injectable } from '@nestjs/common';
import { Flow, FlowRuns, Flows } from '@nestor/orchestrator';
import { RunClaimer } from '../../../libs/orchestrator/src/runtime/recovery/run-claimer.service.js';
import { Gate } from '../../support/gate.js';
import type { RelayProcess } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import { Stage } from '../../support/stage.js';
import { makeDue } from '../deployments/support/deployed.js';
import { useTakeovers } from './support/takeovers.js';

@Injectable()
class Search {
  gate: Gate | null = null;

  @Flow({ name: 'index' })
  async index({ of }: { of: string }): Promise<string> {
    await this.gate?.pass();
    return of;
  }

  @Flow({ name: 'locate' })
  async locateAll(addresses: readonly string[]): Promise<number[]> {
    return addresses.map(({ length }) => length);
  }
}

/** Which run a call got, and its place in the list of that. */
type Got = readonly [id: string, index: number];

describe('a call that shares a run, of a run whose process died', () => {
  const takeovers = useTakeovers();

  const start = (owner: string, script: Stage['script'], options: object = {}): Promise<RelayProcess> => {
    let stage: Stage | undefined;
    return takeovers.relay.start(
      owner,
      (one) => {
        stage = one;
        one.script = script;
      },
      { providers: [{ provide: Stage, useFactory: () => stage }, Search], ...options },
    );
  };
  const enqueue =
    (options: object) =>
    async (flows: Flows): Promise<Got> => [(await flows.with(options).enqueue(Search, 'index', { of: 'x' })).id, 0];

  it.each<[string, (flows: Flows) => Promise<Got>]>([
    ['of a singleton', enqueue({ singleton: 'a' })],
    ['that is debounced', enqueue({ debounce: { key: 'a', for: '1h' } })],
    ['that is throttled', enqueue({ throttle: { key: 'a', per: '1h' } })],
    [
      'in a batch',
      async (flows) => {
        const { run, index } = await flows.batch(Search, 'locateAll', 'x', { size: 2, within: '1h' });
        return [run.id, index];
      },
    ],
  ])('gets the run it got before, %s, whatever has become of that', async (_, call) => {
    const others = await start('others', () => Promise.resolve());
    const indexing = (others.get(Search).gate = new Gate());
    let got: Got | undefined;
    const first = await start(
      'first',
      async () => {
        got = await call(first.get(Flows));
        await takeovers.gate.pass();
      },
      { worker: false },
    );
    const [shared] = await call(others.get(Flows));
    const id = await first.begin('play');
    await takeovers.gate.reached;
    expect(got?.[0]).toBe(shared);

    indexing.open();
    await makeDue(takeovers.database, [shared]);
    others.get(RunClaimer).wake();
    await others.get(FlowRuns).result(shared, { timeout: '10s' });
    // By now a call from outside gets another run.
    await sql(takeovers.database, `update nestor.flow_run set created = created - interval '1 hour' where id = $1`, [
      shared,
    ]);
    await others.standStill();
    await first.die();
    const second = await start('second', () => call(second.get(Flows)));
    expect(await second.result(id)).toEqual(got);
    expect((await call(second.get(Flows)))[0]).not.toBe(shared);
  });

  it('gets it as well in the next attempt of the run', async () => {
    const got: string[] = [];
    const call = enqueue({ singleton: 'b' });
    const process = await start('one', async () => {
      const [id] = await call(process.get(Flows));
      got.push(id);
      indexing.open();
      await process.get(FlowRuns).result(id, { timeout: '10s' });
      if (got.length === 1) throw new Error('once more');
    });
    const indexing = (process.get(Search).gate = new Gate());
    const [shared] = await call(process.get(Flows));
    await process.result(await process.begin('playTwice'));
    expect(got).toEqual([shared, shared]);
  });
});
