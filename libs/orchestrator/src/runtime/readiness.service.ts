import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { ORCHESTRATOR_DATA_SOURCE } from '../persistence/tokens.js';
import { RunClaimer } from './recovery/run-claimer.service.js';
import { OrchestratorEngine } from './engine/orchestrator-engine.js';

/** A database that takes longer to say anything is of no use to a run. */
const ANSWER_WITHIN_MS = 2_000;

/** It looks every five seconds; one that has not done so for so long is stuck. */
const LOOKED_WITHIN_MS = 150_000;

/** Tells whether this process can take work. */
@Injectable()
export class Readiness {
  constructor(
    private readonly engine: OrchestratorEngine,
    private readonly claimer: RunClaimer,
    @Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource,
  ) {}

  /** What stands in the way, for people; `null` when nothing does. Asks the database, so ask every few seconds at most. */
  async problem(): Promise<string | null> {
    if (this.engine.isStopping) return 'The application is shutting down.';
    const lookedMsAgo = this.claimer.lookedMsAgo ?? 0;
    if (lookedMsAgo > LOOKED_WITHIN_MS) {
      return `No runs have been looked for in the last ${Math.round(lookedMsAgo / 1_000)} seconds.`;
    }
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(
        () => resolve(`The database does not answer within ${ANSWER_WITHIN_MS} ms.`),
        ANSWER_WITHIN_MS,
      );
    });
    const asked = this.dataSource.query('select 1').then(
      () => null,
      () => 'The database does not answer.',
    );
    const problem = await Promise.race([asked, late]);
    clearTimeout(timer);
    return problem;
  }
}
