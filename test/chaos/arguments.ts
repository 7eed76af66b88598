import { parseArgs } from 'node:util';
import { SABOTAGES, type Sabotage } from './sabotage/sabotage.js';

const DEFAULT_SECONDS = 120;
const SECONDS_PER_KILL = 3;
const MAX_SEED = 2 ** 32 - 1;

/** The command line asks for something that cannot be done; the message says what can. */
export class UsageError extends Error {}

export interface ChaosArguments {
  readonly kind: 'run';
  readonly seconds: number;
  readonly kills: number;
  readonly seed: number;
  readonly sabotage: Sabotage | null;
  /** Whether the directory with all that was written stays, for somebody to look into. */
  readonly keep: boolean;
}

/** @throws {UsageError} */
export function readArguments(
  argv: readonly string[],
): ChaosArguments | { readonly kind: 'help'; readonly text: string } {
  const values = parsed(argv);
  if (values.help) return { kind: 'help', text: HELP };
  const seconds = wholeNumber('--seconds', values.seconds, 1, 86_400) ?? DEFAULT_SECONDS;
  return {
    kind: 'run',
    seconds,
    kills: wholeNumber('--kills', values.kills, 0, 100_000) ?? Math.floor(seconds / SECONDS_PER_KILL),
    seed: wholeNumber('--seed', values.seed, 0, MAX_SEED) ?? Math.floor(Math.random() * MAX_SEED),
    sabotage: sabotageOf(values.sabotage),
    keep: values.keep ?? false,
  };
}

function parsed(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        seconds: { type: 'string' },
        kills: { type: 'string' },
        seed: { type: 'string' },
        sabotage: { type: 'string' },
        keep: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw usageError(error instanceof Error ? error.message : String(error));
  }
}

function wholeNumber(option: string, text: string | undefined, from: number, to: number): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= from && number <= to) return number;
  throw usageError(`${option} takes a whole number from ${from} to ${to}; got "${text}".`);
}

function sabotageOf(name: string | undefined): Sabotage | null {
  if (name === undefined) return null;
  const sabotage = SABOTAGES.find((known) => known === name);
  if (!sabotage) throw usageError(`--sabotage takes one of ${SABOTAGES.join(', ')}; got "${name}".`);
  return sabotage;
}

function usageError(message: string): UsageError {
  return new UsageError(`${message}\nMore: npm run chaos -- --help`);
}

const HELP = `npm run chaos -- [--seconds S] [--kills K] [--seed X] [--sabotage MECHANISM] [--keep]

Runs four engine processes of the built package under load on a PostgreSQL of its own, and does to them what production
does: processes are killed, stopped past their lease and continued, cut off from the database, their event loops blocked;
the database is restarted, and its postmaster killed. Then everything settles and stops, and a checker that knows only the
database and what the bodies of the tasks wrote down looks for broken promises.
Prints one line of JSON; the exit code is 0 when every promise was kept.

  --seconds S   how long it goes on (${DEFAULT_SECONDS}); settling takes some more
  --kills K     how many processes are killed meanwhile (one every ${SECONDS_PER_KILL} seconds)
  --seed X      decides which fault meets which process when; drawn, and printed, when absent
  --sabotage M  switches one mechanism off, so that the run must fail: ${SABOTAGES.join(', ')}
  --keep        keeps the directory with database, logs and what the tasks wrote down; its path is printed
  --help        this text`;
