import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { LoadSettings } from './loads/load-settings.js';
import type { EngineSettings, News, Order } from './messages.js';
import type { Random } from './random.js';
import type { Sabotage } from './sabotage/sabotage.js';
import type { ChaosServer } from './server.js';
import { forkInSpareTime, standAlongside } from './spare-time.js';

/** A place for one engine process; when that is killed, the next one takes it. */
export interface Slot {
  readonly index: number;
  /** The role with which its processes log in. */
  readonly role: string;
  readonly url: string;
  child: ChildProcess | null;
  /** Only one that is `up` is done something to. */
  condition: 'starting' | 'up' | 'afflicted' | 'down';
  incarnation: number;
}

/** A process that ended by itself, as it has to. */
export interface GivenUp {
  readonly pid: number | undefined;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** What all engine processes have in common. */
interface FleetSettings {
  /** Where they write things down. */
  readonly home: string;
  readonly random: Random;
  readonly load: LoadSettings;
  readonly sabotage: Sabotage | null;
}

const RELAUNCH_AFTER_MS = 300;
const READY_WITHIN_MS = 60_000;
/** The drain of the application, with what comes before and after. */
const STOPPED_WITHIN_MS = 45_000;

/** The engine processes. */
export class Fleet {
  readonly slots: Slot[] = [];
  /** Processes that ended although nobody had killed them, and did not stop when they were told to. */
  readonly mishaps: string[] = [];
  /** Processes that did not start, because the database went away meanwhile; some had joined the others by then. */
  readonly givenUp: GivenUp[] = [];
  staleWritesRefused = 0;
  private stopping = false;

  private constructor(
    private readonly server: ChaosServer,
    private readonly settings: FleetSettings,
  ) {}

  static async start(server: ChaosServer, processes: number, settings: FleetSettings): Promise<Fleet> {
    const fleet = new Fleet(server, settings);
    for (let index = 0; index < processes; index += 1) {
      const role = `engine_${index}`;
      const url = await server.createLogin(role);
      fleet.slots.push({ index, role, url, child: null, condition: 'down', incarnation: 0 });
    }
    for (const slot of fleet.slots) fleet.launch(slot);
    await fleet.allUp();
    return fleet;
  }

  /** Starts a process in a slot that has none. */
  launch(slot: Slot): void {
    const launchedAt = Date.now();
    slot.incarnation += 1;
    slot.condition = 'starting';
    const name = `${slot.index}-${slot.incarnation}`;
    const { home, random, load, sabotage } = this.settings;
    const settings: EngineSettings = {
      url: slot.url,
      witnessFile: join(home, `${name}.witness`),
      seed: random.integer(0, 2 ** 32 - 1),
      load,
      sabotage,
    };
    const log = openSync(join(home, `${name}.log`), 'a');
    const child = forkInSpareTime(join(__dirname, 'engine-process.js'), [JSON.stringify(settings)], {
      stdio: ['ignore', log, log, 'ipc'],
    });
    closeSync(log);
    slot.child = child;
    child.on('message', (news: News) => {
      if (news.kind === 'ready') {
        slot.condition = 'up';
        standAlongside(child);
      } else this.staleWritesRefused += news.count;
    });
    child.on('error', () => undefined); // an order that did not reach a process that was killed meanwhile
    child.once('exit', (code, signal) => {
      if (slot.child !== child) return; // it was killed
      // An application without a database does not start, and says so; whoever runs it tries again.
      const hadNoDatabase = slot.condition === 'starting' && this.server.wasDownSince(launchedAt);
      slot.child = null;
      slot.condition = 'down';
      if (code === 0 && this.stopping) return;
      if (hadNoDatabase) this.givenUp.push({ pid: child.pid, at: Date.now() });
      else this.mishaps.push(`Process ${name} ended by itself (${signal ?? `exit code ${code}`}).`);
      if (!this.stopping) setTimeout(() => this.relaunch(slot), RELAUNCH_AFTER_MS);
    });
  }

  private relaunch(slot: Slot): void {
    if (!this.stopping && !slot.child) this.launch(slot);
  }

  /** Kills the process in a slot. */
  async kill(slot: Slot): Promise<void> {
    const { child } = slot;
    if (!child) return;
    slot.child = null;
    slot.condition = 'down';
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }

  send(slot: Slot, order: Order): void {
    if (slot.child?.connected) slot.child.send(order);
  }

  async allUp(): Promise<void> {
    const deadline = performance.now() + READY_WITHIN_MS;
    while (this.slots.some(({ condition }) => condition !== 'up')) {
      if (performance.now() > deadline)
        throw new Error('The engine processes do not come up; see their logs (--keep).');
      await pause(50);
    }
  }

  /** Tells every process to stop, and waits until it has. */
  async stop(): Promise<void> {
    this.stopping = true;
    const running = this.slots.flatMap(({ child }) => child ?? []);
    for (const slot of this.slots) this.send(slot, { kind: 'stop' });
    const ended = Promise.all(running.map((child) => once(child, 'exit')));
    await Promise.race([ended, pause(STOPPED_WITHIN_MS, undefined, { ref: false })]);
    for (const slot of this.slots.filter(({ child }) => child)) {
      this.mishaps.push(`Process ${slot.index}-${slot.incarnation} did not stop within ${STOPPED_WITHIN_MS} ms.`);
      await this.kill(slot);
    }
  }

  /** Kills whatever runs, at once. */
  abandon(): void {
    this.stopping = true;
    for (const { child } of this.slots) child?.kill('SIGKILL');
  }
}
