import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConsoleLogger } from '@nestjs/common';
import type { HandedLease } from './runtime/workers/base-worker.js';
import { IsolatedRun } from './runtime/workers/isolation/isolated-run.js';

/**
 * Executes one run that was handed over, and nothing else: for a process that is there for that run alone, such as one that
 * what a push pool posts to has started. The application is started without listening, takes no other run, and is closed
 * afterwards. `SIGTERM` has the run handed back, for somebody else to go on with.
 *
 * @param application the file with the Nest module: as for option `worker.application`.
 * @param lease what was posted as `lease`. It is good for one process, once: any other ends without having done anything.
 * @returns the exit code for the process, once all is done: 0, or 1 where the application could not be started.
 *
 * @example
 * ```ts
 * executeHandedOver(require.resolve('./app.module'), JSON.parse(process.env.NESTOR_LEASE!)).then((code) => process.exit(code));
 * ```
 */
export function executeHandedOver(application: string | URL, lease: HandedLease): Promise<number> {
  const isUrl = application instanceof URL || application.startsWith('file:');
  const file = isUrl ? fileURLToPath(application) : resolve(application);
  return new Promise((ended, failed) => {
    // Not Nest's own `Logger`, which by then hands over to this.
    const logger = new ConsoleLogger();
    const run = new IsolatedRun({
      tell: (news) => {
        if (news.kind === 'failed') logger.error(news.message, 'Nestor');
        else logger[news.level](news.text, news.context);
      },
      end: (exitCode) => {
        process.off('SIGTERM', stop);
        ended(exitCode);
      },
    });
    const stop = (): void => void run.stop().catch(failed);
    process.on('SIGTERM', stop);
    run.begin({ kind: 'begin', application: file, lease, directory: null, isTemporary: false }).catch(failed);
  });
}
