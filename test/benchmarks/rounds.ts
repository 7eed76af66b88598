import { note, readable } from './report.js';
import { median } from './statistics.js';
import type { Figures } from './workload.js';

const ROUNDS = 5;

/** What one round of a workload came to. */
export interface Round {
  readonly perS: number;
  readonly more?: Readonly<Record<string, number>>;
}

/**
 * Warms up with one round that does not count, then takes the medians of five. Limit and work take turns, so that a
 * machine that slows down in between slows both.
 */
export async function inRounds(limit: () => Promise<number>, work: () => Promise<Round>): Promise<Figures> {
  const rounds: (Round & { limitPerS: number })[] = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    const limitPerS = await limit();
    const result = { ...(await work()), limitPerS };
    note(`  ${round === 0 ? 'warm-up' : `round ${round}`}: ${summary(result)}`);
    if (round > 0) rounds.push(result);
  }
  const perS = median(rounds.map((round) => round.perS));
  const limitPerS = median(rounds.map((round) => round.limitPerS));
  const names = Object.keys(rounds[0]?.more ?? {});
  const more = names.map((name) => [name, median(rounds.map((round) => round.more?.[name] ?? NaN))] as const);
  return { perS, limitPerS, ratio: perS / limitPerS, more: Object.fromEntries(more) };
}

function summary({ perS, limitPerS, more = {} }: Round & { limitPerS: number }): string {
  const figures = { per_s: perS, limit_per_s: limitPerS, ...more };
  return Object.entries(figures)
    .map(([name, value]) => `${name} ${readable(value)}`)
    .join(', ');
}
