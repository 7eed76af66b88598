import type { TestDatabase } from '@nestor/testing';
import type { TestAppOptions } from '../../../support/app.js';
import { testDatabase } from '../../../support/database.js';
import { Gate } from '../../../support/gate.js';
import { illegalHistories } from '../../../support/history.js';
import { Relay, type RelayProcess } from '../../../support/relay.js';
import type { Stage } from '../../../support/stage.js';

export type Play = Parameters<RelayProcess['begin']>[0];

interface TakeoverOptions {
  /** Which flow is begun. Default: `play`. */
  readonly play?: Play;
  readonly params?: unknown;
  /** What the code of the second process is, where it is another one. */
  readonly edited?: (stage: Stage) => void;
  /** Resolves when the first process may die. Default: when something waits at the gate. */
  readonly dueToDie?: (id: string) => Promise<unknown>;
  /** Of both processes, and of each of them. */
  readonly options?: Partial<TestAppOptions>;
  readonly ofFirst?: Partial<TestAppOptions>;
  readonly ofSecond?: Partial<TestAppOptions>;
}

/** A run that was begun by one process, which has died, and goes on in another. */
interface Takeover {
  readonly id: string;
  readonly first: RelayProcess;
  readonly second: RelayProcess;
}

/**
 * What tests of runs whose process dies have in common: a database for all of a file, and for each test the processes of an
 * application and a gate, at which the first of them dies. No test may leave a history that rules do not allow.
 */
class Takeovers {
  database!: TestDatabase;
  relay!: Relay;
  gate!: Gate;

  /** Called by the code of a run: where the first process dies; others pass by. */
  readonly interruption = async (stage: Stage): Promise<void> => {
    if (stage.owner === 'first') await this.gate.pass();
  };

  /** Has the process `first` begin a run and die; then starts `second`, which takes it over. */
  readonly playTwice = async (
    code: (stage: Stage) => void,
    { play = 'play', params, edited = code, dueToDie = () => this.gate.reached, ...given }: TakeoverOptions = {},
  ): Promise<Takeover> => {
    const { options = {}, ofFirst = {}, ofSecond = {} } = given;
    const first = await this.relay.start('first', code, { ...options, ...ofFirst });
    const id = await first.begin(play, params);
    await dueToDie(id);
    await first.die();
    return { id, first, second: await this.relay.start('second', edited, { ...options, ...ofSecond }) };
  };
}

/** Sets up {@link Takeovers} for the tests of a `describe`. */
export function useTakeovers(): Takeovers {
  const takeovers = new Takeovers();
  beforeAll(async () => (takeovers.database = await testDatabase()));
  afterAll(() => takeovers.database.drop());
  beforeEach(() => {
    takeovers.relay = new Relay(takeovers.database);
    takeovers.gate = new Gate();
  });
  afterEach(async () => {
    takeovers.gate.open();
    await takeovers.relay.close();
    expect(await illegalHistories(takeovers.database)).toEqual([]);
  });
  return takeovers;
}
