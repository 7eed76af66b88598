import { readArguments, UsageError, type BenchArguments } from './arguments.js';
import { machineLine, note, resultLine } from './report.js';
import { BenchServer } from './server.js';
import { checkServerSettings } from './server-settings.js';

const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;

async function main(args: BenchArguments): Promise<void> {
  const server = await BenchServer.open(process.env.DATABASE_URL || undefined);
  const interrupted = () => {
    // The embedded server is a process of its own, which would outlive this one.
    void server.close().finally(() => process.exit(EXIT_INTERRUPTED));
  };
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    const settings = await checkServerSettings(server.url);
    note(machineLine(settings));
    for (const workload of args.workloads) {
      const n = args.n ?? workload.defaultN;
      note(`${workload.name}: ${workload.about}; n = ${n}`);
      const figures = await workload.measure(server, { n, stored: args.stored });
      console.log(resultLine(workload.name, n, figures));
    }
  } finally {
    await server.close();
    process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
  }
}

try {
  const args = readArguments(process.argv.slice(2));
  if (args.kind === 'help') console.log(args.text);
  else {
    main(args).catch((error: unknown) => {
      console.error(error);
      process.exitCode = 1;
    });
  }
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(error.message);
  process.exitCode = EXIT_USAGE;
}
