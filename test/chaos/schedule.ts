import type { Random } from './random.js';

/** Something bad that happens. `slot` is the process it is meant for; when that is down already, another one gets it. */
export type Fault = { readonly atMs: number; readonly slot: number } & (
  | { readonly kind: 'kill' | 'cut' }
  | { readonly kind: 'stop' | 'block'; readonly forMs: number }
  | { readonly kind: 'restart' | 'crash'; readonly downMs: number }
);

export type FaultKind = Fault['kind'];

export const FAULT_KINDS = ['kill', 'stop', 'cut', 'block', 'restart', 'crash'] as const satisfies readonly FaultKind[];

/** One of each per minute, one after another: so each has time to show what it does without the next one. */
const MAJOR = ['restart', 'stop', 'crash'] as const;
const CUT_EVERY_MS = 10_000;
const SHORT_BLOCK_EVERY_MS = 30_000;
const LONG_BLOCK_MS = 20_000;

/** Everything that happens during a run, in its order. */
export function planFaults(
  random: Random,
  { seconds, kills, processes }: { readonly seconds: number; readonly kills: number; readonly processes: number },
): Fault[] {
  const lengthMs = seconds * 1_000;
  const slot = (): number => random.integer(0, processes - 1);
  const minutes = Math.max(1, Math.round(seconds / 60));

  const majors = spread(random, lengthMs, minutes * MAJOR.length, 0.05, 0.3).map((atMs, index): Fault => {
    const kind = MAJOR[index % MAJOR.length] ?? 'stop';
    return kind === 'stop'
      ? { kind, atMs, slot: slot(), forMs: random.between(12_000, 14_000) }
      : { kind, atMs, slot: 0, downMs: random.chance(0.5) ? 0 : random.between(0, 3_000) };
  });
  const longBlocks = spread(random, lengthMs, minutes, 0.1, 0.6).map((atMs): Fault => {
    return { kind: 'block', atMs, slot: slot(), forMs: Math.min(LONG_BLOCK_MS, lengthMs / 3) };
  });
  const shortBlocks = spread(random, lengthMs, Math.ceil(lengthMs / SHORT_BLOCK_EVERY_MS), 0.1, 0.9).map(
    (atMs): Fault => ({ kind: 'block', atMs, slot: slot(), forMs: random.between(1_000, 6_000) }),
  );
  const cuts = spread(random, lengthMs, Math.ceil(lengthMs / CUT_EVERY_MS), 0.1, 0.9).map((atMs): Fault => ({
    kind: 'cut',
    atMs,
    slot: slot(),
  }));
  const killed = spread(random, lengthMs, kills, 0.3, 0.7).map((atMs): Fault => ({ kind: 'kill', atMs, slot: slot() }));
  return [...majors, ...longBlocks, ...shortBlocks, ...cuts, ...killed].sort((one, other) => one.atMs - other.atMs);
}

/** `count` moments, one in each part of the time, there between two shares of the part. */
function spread(random: Random, lengthMs: number, count: number, from: number, to: number): number[] {
  const partMs = lengthMs / count;
  return Array.from({ length: count }, (_, index) => Math.round((index + random.between(from, to)) * partMs));
}
