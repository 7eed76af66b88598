import { prepareDatabase } from '@nestor/orchestrator';
import { readEnvironment } from './config/environment.js';
import { exitWith } from './exit.js';

const CHECK = '--check';

/**
 * Brings the schema up to this code, and ends; with `--check` it changes nothing, and the exit code says whether it is there.
 * The server that is started for that ends with it.
 */
async function main(options: readonly string[]): Promise<void> {
  const unknown = options.find((option) => option !== CHECK);
  if (unknown !== undefined) {
    console.error(`There is no option "${unknown}" of migrate, but ${CHECK}; nothing was done.`);
    process.exit(2);
  }
  const check = options.includes(CHECK);
  const { database, schema } = readEnvironment();
  const { from, to } = await prepareDatabase({ ...database, schema, check, log: (line) => console.error(line) });
  console.log(
    from === to
      ? `Schema "${schema}" is at level ${to}; there is nothing to do.`
      : `Schema "${schema}" was brought from level ${from} to ${to}.`,
  );
}

main(process.argv.slice(2)).catch(exitWith);
