import { readArguments, UsageError } from './arguments.js';
import { Harness } from './harness.js';

const EXIT_BROKEN = 1;
const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;
/** Of what is wrong, so much is told in words; the counts are of everything. */
const MAX_PROBLEMS = 40;

let interrupted = false;
void main();

async function main(): Promise<void> {
  try {
    const args = readArguments(process.argv.slice(2));
    if (args.kind === 'help') return console.log(args.text);
    const start = performance.now();
    const note = (line: string): void =>
      console.error(`[${Math.round((performance.now() - start) / 1_000)} s] ${line}`);
    const harness = new Harness(args, note);
    const interrupt = (): void => {
      interrupted = true;
      void harness.close().finally(() => process.exit(EXIT_INTERRUPTED));
    };
    process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
    try {
      const { ok, problems, line } = await harness.run();
      for (const problem of problems.slice(0, MAX_PROBLEMS)) console.error(problem);
      if (problems.length > MAX_PROBLEMS) console.error(`… and ${problems.length - MAX_PROBLEMS} more`);
      console.log(line);
      if (!ok) process.exitCode = EXIT_BROKEN;
    } finally {
      if (!interrupted) await harness.close();
      process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    }
  } catch (error) {
    if (interrupted) return; // whatever was under way has lost its processes
    console.error(error instanceof UsageError ? error.message : error);
    process.exitCode = error instanceof UsageError ? EXIT_USAGE : EXIT_BROKEN;
  }
}
