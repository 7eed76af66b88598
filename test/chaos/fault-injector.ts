import { setTimeout as pause } from 'node:timers/promises';
import type { Fleet, Slot } from './fleet.js';
import type { Fault } from './schedule.js';
import type { ChaosServer } from './server.js';

/** Something that was done to a process or to the server, in milliseconds since 1970. */
export interface Injected {
  readonly kind: Fault['kind'] | 'blackout';
  readonly from: number;
  /** When it was over: the process went on, or the server accepted connections again. */
  until: number;
  /** `null` when it was done to the server. */
  readonly pid: number | null;
  /** The root runs the process was executing, or about to; `null` when nobody could say. */
  held: readonly string[] | null;
}

const LOOK_AGAIN_MS = 50;
/** For so long after a process was killed, not all that were well then are hit as well: somebody has to notice. */
const SPARED_MS = 3_000;

/** The processes that were well when another one was killed. */
interface Watch {
  readonly until: number;
  readonly slots: ReadonlyMap<Slot, number>;
}

/** Does what the schedule says, when it says so, and keeps book. */
export class FaultInjector {
  readonly injected: Injected[] = [];
  private watches: Watch[] = [];

  constructor(
    private readonly fleet: Fleet,
    private readonly server: ChaosServer,
  ) {}

  /** Resolves when everything has happened and is over. */
  async run(faults: readonly Fault[]): Promise<void> {
    const start = performance.now();
    const serverFaults: Promise<void>[] = [];
    await Promise.all(
      faults.map(async (fault) => {
        await pause(Math.max(0, fault.atMs - (performance.now() - start)));
        if (fault.kind === 'restart' || fault.kind === 'crash') {
          // One after another: a server that is down cannot go down.
          const before = serverFaults.at(-1) ?? Promise.resolve();
          const done = before.then(() => this.interruptServer(fault.kind, fault.downMs));
          serverFaults.push(done);
          return done;
        }
        const slot = await this.victim(fault.slot);
        switch (fault.kind) {
          case 'kill':
            return this.kill(slot);
          case 'cut':
            return this.cut(slot);
          case 'stop':
            return this.stop(slot, fault.forMs);
          case 'block':
            return this.block(slot, fault.forMs);
        }
      }),
    );
  }

  /** Kills all processes at once, and lets nobody be there for that long. */
  async blackOut(ms: number): Promise<void> {
    await this.fleet.allUp();
    const start = pause(ms);
    await Promise.all(this.fleet.slots.map((slot) => this.afflict('blackout', slot, () => this.fleet.kill(slot))));
    await start;
    for (const slot of this.fleet.slots) this.fleet.launch(slot);
  }

  private async kill(slot: Slot): Promise<void> {
    const well = this.fleet.slots.filter(({ condition }) => condition === 'up');
    const slots = new Map(well.map((other) => [other, other.incarnation]));
    this.watches.push({ until: performance.now() + SPARED_MS, slots });
    await this.afflict('kill', slot, () => this.fleet.kill(slot));
    this.fleet.launch(slot);
  }

  private async stop(slot: Slot, forMs: number): Promise<void> {
    await this.afflict('stop', slot, async ({ child }) => {
      child?.kill('SIGSTOP');
      await pause(forMs);
      child?.kill('SIGCONT');
    });
    slot.condition = 'up';
  }

  private async block(slot: Slot, forMs: number): Promise<void> {
    await this.afflict('block', slot, async () => {
      this.fleet.send(slot, { kind: 'block', forMs });
      await pause(forMs);
    });
    slot.condition = 'up';
  }

  private async cut(slot: Slot): Promise<void> {
    await this.afflict('cut', slot, () => this.server.cut(slot.role).catch(() => undefined)); // the server is down: so they are
    slot.condition = 'up';
  }

  private async interruptServer(kind: 'restart' | 'crash', downMs: number): Promise<void> {
    const entry: Injected = { kind, from: Date.now(), until: Infinity, pid: null, held: null };
    this.injected.push(entry);
    await this.server[kind](downMs);
    entry.until = Date.now();
  }

  private async afflict(kind: Injected['kind'], slot: Slot, work: (slot: Slot) => Promise<unknown>): Promise<void> {
    slot.condition = 'afflicted';
    const pid = slot.child?.pid ?? null;
    const held = pid === null ? null : await this.heldBy(pid);
    const entry: Injected = { kind, from: Date.now(), until: Infinity, pid, held };
    this.injected.push(entry);
    const done = work(slot);
    // What was on its way to the process when it was hit, a claim for instance, reaches it all the same.
    const since = pid === null ? null : await this.heldBy(pid);
    if (held && since) entry.held = [...new Set([...held, ...since])];
    await done;
    entry.until = Date.now();
  }

  /** The slot that is meant, or the next one whose process may be hit, as soon as there is one. */
  private async victim(index: number): Promise<Slot> {
    for (;;) {
      const candidates = this.fleet.slots.filter((slot) => slot.condition === 'up' && this.mayBeHit(slot));
      const found = candidates.find((slot) => slot.index >= index) ?? candidates[0];
      if (found) {
        found.condition = 'afflicted'; // at once, so that nobody else chooses it
        return found;
      }
      await pause(LOOK_AGAIN_MS);
    }
  }

  /** Whether somebody is well besides it, and somebody who was so when others were killed a moment ago. */
  private mayBeHit(slot: Slot): boolean {
    const now = performance.now();
    this.watches = this.watches.filter(({ until }) => until > now);
    const others = this.fleet.slots.filter((other) => other !== slot && other.condition === 'up');
    const stillWatch = ({ slots }: Watch): boolean => others.some((other) => slots.get(other) === other.incarnation);
    return others.length > 0 && this.watches.every(stillWatch);
  }

  private async heldBy(pid: number): Promise<string[] | null> {
    try {
      const { rows } = await this.server.administer((client) =>
        client.query<{ id: string }>(
          `select r.id from nestor.flow_run r join nestor.process p on p.id = r.process_id
            where p.pid = $1 and p.fenced_at is null
              and (r.state_type in ('PENDING', 'RUNNING') or r.state_name in ('AwaitingResume', 'Resuming'))`,
          [pid],
        ),
      );
      return rows.map(({ id }) => id);
    } catch {
      return null; // the server is down
    }
  }
}
