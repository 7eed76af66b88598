import { parseArgs } from 'node:util';
import type { LoadName } from './loads/load-settings.js';
import { LOAD_NAMES, LOADS } from './loads/loads.js';
import { SABOTAGES, type Sabotage } from './sabotage/sabotage.js';
import { FAULT_KINDS, type FaultKind } from './schedule.js';

const DEFAULT_SECONDS = 120;
const DEFAULT_SCHEDULES = 200;
const MAX_SEED = 2 ** 32 - 1;

/** The command line asks for something that cannot be done; the message says what can. */
export class UsageError extends Error {}

export interface ChaosArguments {
  readonly kind: 'run';
  readonly load: LoadName;
  readonly nodes: number;
  readonly schedules: number;
  readonly seconds: number;
  readonly kills: number;
  /** What happens; the rest of the plan is left out. */
  readonly faults: ReadonlySet<FaultKind>;
  /** For how many seconds nobody is there in the end. */
  readonly blackout: number;
  readonly seed: number;
  readonly sabotage: Sabotage | null;
  /** Whether times that are missed are told alone, and no reason to fail. */
  readonly untimed: boolean;
  /** Whether the directory with all that was written stays, for somebody to look into. */
  readonly keep: boolean;
}

/** @throws {UsageError} */
export function readArguments(
  argv: readonly string[],
): ChaosArguments | { readonly kind: 'help'; readonly text: string } {
  const values = parsed(argv);
  if (values.help) return { kind: 'help', text: HELP };
  const { load, sabotage } = loadOf(values.load, values.sabotage);
  const seconds = wholeNumber('--seconds', values.seconds, 1, 86_400) ?? DEFAULT_SECONDS;
  const perKill = wholeNumber('--kill-every', values['kill-every'], 1, 86_400) ?? LOADS[load].secondsPerKill;
  return {
    kind: 'run',
    load,
    nodes: wholeNumber('--nodes', values.nodes, 2, 64) ?? LOADS[load].nodes,
    schedules: wholeNumber('--schedules', values.schedules, 1, 10_000) ?? DEFAULT_SCHEDULES,
    seconds,
    kills: wholeNumber('--kills', values.kills, 0, 100_000) ?? Math.floor(seconds / perKill),
    faults: faultsOf(values.faults),
    blackout: wholeNumber('--blackout', values.blackout, 0, 86_400) ?? 0,
    seed: wholeNumber('--seed', values.seed, 0, MAX_SEED) ?? Math.floor(Math.random() * MAX_SEED),
    sabotage,
    untimed: values.untimed ?? false,
    keep: values.keep ?? false,
  };
}

function parsed(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        load: { type: 'string' },
        nodes: { type: 'string' },
        schedules: { type: 'string' },
        seconds: { type: 'string' },
        kills: { type: 'string' },
        'kill-every': { type: 'string' },
        faults: { type: 'string' },
        blackout: { type: 'string' },
        seed: { type: 'string' },
        sabotage: { type: 'string' },
        untimed: { type: 'boolean' },
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

/** What is switched off shows under one load alone. */
function loadOf(name: string | undefined, sabotageName: string | undefined) {
  const load = LOAD_NAMES.find((known) => known === name);
  if (name !== undefined && !load) throw usageError(`--load takes one of ${LOAD_NAMES.join(', ')}; got "${name}".`);
  if (sabotageName === undefined) return { load: load ?? 'engine', sabotage: null } as const;
  const sabotages = Object.keys(SABOTAGES) as Sabotage[];
  const sabotage = sabotages.find((known) => known === sabotageName);
  if (!sabotage) throw usageError(`--sabotage takes one of ${sabotages.join(', ')}; got "${sabotageName}".`);
  const shownBy = SABOTAGES[sabotage];
  if (load && load !== shownBy) throw usageError(`--sabotage ${sabotage} goes with --load ${shownBy}.`);
  return { load: shownBy, sabotage } as const;
}

function faultsOf(list: string | undefined): ReadonlySet<FaultKind> {
  if (list === undefined) return new Set(FAULT_KINDS);
  const kinds = list.split(',').map((name) => {
    const kind = FAULT_KINDS.find((known) => known === name);
    if (!kind) throw usageError(`--faults takes a list of ${FAULT_KINDS.join(', ')}; got "${name}".`);
    return kind;
  });
  return new Set(kinds);
}

function usageError(message: string): UsageError {
  return new UsageError(`${message}\nMore: npm run chaos -- --help`);
}

const column = (name: string): string => name.padEnd(15);

const HELP = `npm run chaos -- [--load LOAD] [--seconds S] [--kills K | --kill-every S] [--seed X] [--sabotage MECHANISM] …

Runs some processes of the built package under load on a PostgreSQL of its own, and does to them what production does:
processes are killed, stopped past their lease and continued, cut off from the database, their event loops blocked; the
database is restarted, and its postmaster killed. Then everything settles and stops, and a checker that knows only the database,
what triggers noted at every commit, and what the bodies of flows and tasks wrote down, looks for broken promises.
Prints one line of JSON; the exit code is 0 when every promise was kept.

  --load LOAD       what keeps them busy (engine):
${LOAD_NAMES.map((name) => `                      ${column(name)}${LOADS[name].about}`).join('\n')}
  --nodes N         how many processes (${LOAD_NAMES.map((name) => `${name} ${LOADS[name].nodes}`).join(', ')})
  --schedules N     how many schedules fire every second, under load "schedules" (${DEFAULT_SCHEDULES})
  --seconds S       how long it goes on (${DEFAULT_SECONDS}); settling takes some more
  --kills K         how many processes are killed meanwhile
  --kill-every S    the same: one every so many seconds (${LOAD_NAMES.map((name) => `${name} ${LOADS[name].secondsPerKill}`).join(', ')})
  --faults LIST     what happens, of ${FAULT_KINDS.join(',')} (all of it)
  --blackout S      after all that everybody is killed, and nobody there for so many seconds, while schedules go on (0)
  --seed X          decides which fault meets which process when; drawn, and printed, when absent
  --sabotage M      switches one mechanism off, so that the run must fail; each goes with one load:
${LOAD_NAMES.map((name) => `                      ${column(name)}${sabotagesOf(name).join(', ')}`).join('\n')}
  --untimed         what took longer than it should is told, and no reason to fail: on a machine that has other things to do
  --keep            keeps the directory with database, logs and what bodies wrote down; its path is printed
  --help            this text`;

function sabotagesOf(load: LoadName): string[] {
  return Object.entries(SABOTAGES).flatMap(([name, shownBy]) => (shownBy === load ? [name] : []));
}
