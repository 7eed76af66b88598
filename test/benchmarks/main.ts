import { readArguments, UsageError, type BenchArguments } from './arguments.js';
import { machineLine, note, resultLine } from './report.js';
import { BenchServer } from './server.js';
import { checkServerSettings, UnsuitableServerError } from './server-settings.js';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;

let interrupted = false;
void main();

async function main(): Promise<void> {
  try {
    const args = readArguments(process.argv.slice(2));
    if (args.kind === 'help') console.log(args.text);
    else await bench(args);
  } catch (error) {
    if (interrupted) return; // whatever was under way has lost its database
    const expected = error instanceof UsageError || error instanceof UnsuitableServerError;
    console.error(expected ? error.message : error);
    process.exitCode = error instanceof UsageError ? EXIT_USAGE : EXIT_FAILED;
  }
}

async function bench({ workloads, n: givenN, stored }: BenchArguments): Promise<void> {
  const server = await BenchServer.open(process.env.DATABASE_URL || undefined);
  const interrupt = () => {
    interrupted = true;
    // The embedded server is a process of its own, which would outlive this one.
    void server.close().finally(() => process.exit(EXIT_INTERRUPTED));
  };
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  try {
    note(machineLine(await checkServerSettings(server.url)));
    for (const workload of workloads) {
      const n = givenN ?? workload.defaultN;
      note(`${workload.name}: ${workload.about}; n = ${n}`);
      const figures = await workload.measure(server, { n, stored });
      console.log(resultLine(workload.name, n, figures));
    }
  } finally {
    await server.close();
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
}
