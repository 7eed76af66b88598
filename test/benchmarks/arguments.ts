import { parseArgs } from 'node:util';
import type { Workload } from './workload.js';
import { workloads } from './workloads/index.js';

const DEFAULT_STORED = 5_000_000;

/** The command line asks for something that does not exist; the message says what does. */
export class UsageError extends Error {}

export interface BenchArguments {
  readonly kind: 'run';
  readonly workloads: readonly Workload[];
  /** `null`: every workload's own default. */
  readonly n: number | null;
  /** How many task runs `history` stores beforehand. */
  readonly stored: number;
}

/** @throws {UsageError} */
export function readArguments(argv: readonly string[]): BenchArguments | { kind: 'help'; text: string } {
  const { values, positionals } = parsed(argv);
  if (values.help) return { kind: 'help', text: helpText() };
  const [name, ...more] = positionals;
  if (more.length > 0) throw usageError(`One workload at a time, or none to run all; got "${positionals.join(' ')}".`);
  const chosen = workloads.filter((workload) => name === undefined || workload.name === name);
  if (chosen.length === 0) throw usageError(`There is no workload "${name}".`);
  if (values.stored !== undefined && !chosen.some((workload) => workload.name === 'history')) {
    throw usageError(`--stored belongs to the workload "history".`);
  }
  return {
    kind: 'run',
    workloads: chosen,
    n: values.n === undefined ? null : positiveInteger('--n', values.n),
    stored: values.stored === undefined ? DEFAULT_STORED : positiveInteger('--stored', values.stored),
  };
}

function parsed(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { n: { type: 'string' }, stored: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    });
  } catch (error) {
    throw usageError(error instanceof Error ? error.message : String(error));
  }
}

function positiveInteger(option: string, text: string): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < 1 || !Number.isSafeInteger(number)) {
    throw usageError(`${option} takes a whole number from 1; got "${text}".`);
  }
  return number;
}

function usageError(message: string): UsageError {
  const names = workloads.map(({ name }) => name).join(', ');
  return new UsageError(`${message}\nWorkloads: ${names}. More: npm run bench -- --help`);
}

function helpText(): string {
  const lines = workloads.map(({ name, about, defaultN }) => `  ${name.padEnd(9)} ${about} (n = ${defaultN})`);
  return `npm run bench -- [workload] [--n N] [--stored N]

Measures the built package on a real PostgreSQL: an embedded one in a temporary directory, or that of DATABASE_URL, whose
role has to be allowed to create databases. Every workload has a database of its own, which is dropped afterwards.
Prints one line of JSON per workload: medians of five rounds, each beside what plain "pg" does on that server at that time.

Workloads, run in this order when none is named:
${lines.join('\n')}

  --n N       another size
  --stored N  task runs that "history" stores beforehand (${DEFAULT_STORED})
  --help      this text

  per_s        items a second; an item is a task, in "flows", "queue", "dispatch" and "fair" a flow run, in "schedules" a
               deployment, in "latency" a call
  ms_each      milliseconds per item
  limit_per_s  rows a second that plain "pg" inserts: one by one, or where work is concurrent in batches on two connections
  ratio        per_s / limit_per_s; in "history" per_s / empty_per_s, the speed of the same work in an empty database

Some workloads have figures of their own:

  latency, dispatch  p50_ms, p99_ms: from the call, or the enqueueing, to the start of the body
  queue              in_per_s, in_one_by_one_per_s: runs enqueued a second, at once and one by one; out_per_s: runs executed
  fair               quiet_…_ms, beside_…_ms: how long runs wait alone, and beside the flood; quiet_p99_ratio: the second p99 to
                     the first; flood_in_per_s: runs of the flood enqueued a second
  schedules          fill_s: until all have their runs; idle_pass_ms: a look when there is nothing to make
  replay             resumed_ms: from the end of the one process to the start of the body in the other
  history            stored: task runs that are there already; empty_per_s
  memory             rss_mb: the peak`;
}
