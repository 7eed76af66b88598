import { Injectable, Logger, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { LooksRepository } from '../../records/looks/looks.repository.js';
import { withinMs } from '../engine/wait-until.js';
import { isPassive } from '../passive-start.js';
import type { Rest, WakeableLoop } from './wakeable-loop.js';

/**
 * More often than any loop looks by itself that rests, so that none has to. The lease of a slot lasts a second at least:
 * slots are free again within two and a half seconds of when it has run out, also where it was taken right after a look.
 */
const EVERY_MS = 3_500;
/** How long the last look may take when this process ends. */
const LAST_LOOK_MS = 1_000;

/**
 * What a process costs while nothing happens: one statement every few seconds asks for all loops that rest whether there is
 * something to do for them, and those for which there is are woken. A look that fails, or takes long, changes nothing: each
 * of the loops has a timer of its own.
 */
@Injectable()
export class SharedLooks implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(SharedLooks.name);
  private readonly loops = new Set<WakeableLoop>();
  private timer: NodeJS.Timeout | null = null;
  private looking: Promise<void> | null = null;
  private hasFailed = false;

  constructor(private readonly looks: LooksRepository) {}

  onApplicationBootstrap(): void {
    if (isPassive()) return;
    this.timer = setInterval(() => this.look(), EVERY_MS);
    this.timer.unref();
  }

  async beforeApplicationShutdown(): Promise<void> {
    if (this.timer) clearInterval(this.timer);
    await withinMs(this.looking ?? Promise.resolve(), LAST_LOOK_MS);
  }

  /** Asks for that loop as well from now on, whenever it rests. */
  share(loop: WakeableLoop): void {
    this.loops.add(loop);
  }

  private look(): void {
    this.looking ??= this.askForAll()
      .then(() => (this.hasFailed = false))
      .catch((error: unknown) => {
        if (!this.hasFailed) this.logger.warn(`Loops look by themselves for what there is to do: ${String(error)}`);
        this.hasFailed = true;
      })
      .then(() => void (this.looking = null));
  }

  private async askForAll(): Promise<void> {
    const resting = [...this.loops].flatMap((loop) => {
      const rest = loop.restsAndIsDueWithin(EVERY_MS);
      return rest ? [{ loop, rest, looks: rest.looks() }] : [];
    });
    const beganAt = performance.now();
    const answers = await this.looks.ask(resting.flatMap(({ looks }) => looks));
    let next = 0;
    for (const { loop, rest, looks } of resting) {
      tell(loop, rest, answers.slice(next, next + looks.length), beganAt);
      next += looks.length;
    }
  }
}

function tell(loop: WakeableLoop, rest: Rest, answers: readonly (number | null)[], beganAt: number): void {
  if (loop.restsAndIsDueWithin(Infinity) !== rest) return; // it has been woken meanwhile
  const nextInMs = Math.min(...answers.map((ms) => ms ?? Infinity));
  if (nextInMs <= 0) loop.wake();
  else loop.restOn(rest, beganAt, nextInMs);
}
