import { deployCheck } from '@nestor/orchestrator';
import { AppModule } from './app.module.js';
import { readEnvironment } from './config/environment.js';
import { exitWith } from './exit.js';
import { QuietNestLogger } from './quiet-nest.logger.js';

/** Tries the code of this checkout on the runs in flight; exits with 0 when all go on as they began, else with 1. */
async function main(): Promise<void> {
  const { isSafe } = await deployCheck(AppModule.with(readEnvironment()), {
    logger: new QuietNestLogger(['warn', 'error', 'fatal']),
  });
  process.exitCode = isSafe ? 0 : 1;
}

main().catch(exitWith);
