import { setTimeout as pause } from 'node:timers/promises';
import type { Fleet, Slot } from './fleet.js';
import type { Fault } from './schedule.js';
import type { ChaosServer } from './server.js';

/** Something that was done to a process or to the server, in milliseconds since 1970. */
export interface Injected {
  readonly kind: Fault['kind'];
  readonly from: number;
  /** When it was over: the process went on, or the server accepted connections again. */
  until: number;
  /** `null` when it was done to the server. */
  readonly pid: number | null;
  /** The root runs the process was executing, or about to; `null` when nobody could say. */
  held: readonly string[] | null;
}

const LOOK_AGAIN_MS = 50;
/** Besides the one that is hit, so many have to be well: somebody has to notice. */
const WITNESSES = 1;

/** Does what the schedule says, when it says so, and keeps book. */
export class FaultInjector {
  readonly injected: Injected[] = [];

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

  private async kill(slot: Slot): Promise<void> {
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

  private async afflict(kind: Fault['kind'], slot: Slot, work: (slot: Slot) => Promise<unknown>): Promise<void> {
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

  /** The slot that is meant, or the next one whose process is well, as soon as there is one and others are well besides. */
  private async victim(index: number): Promise<Slot> {
    const { slots } = this.fleet;
    for (;;) {
      const well = slots.filter(({ condition }) => condition === 'up');
      const found = well.find((slot) => slot.index >= index) ?? well[0];
      if (found && well.length > WITNESSES) {
        found.condition = 'afflicted'; // at once, so that nobody else chooses it
        return found;
      }
      await pause(LOOK_AGAIN_MS);
    }
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
