import { awaitingResume, cancelled, crashed, dueAgain, isTerminal, type ProposedState, StateType } from '@nestor/core';
import { Injectable } from '@nestjs/common';
import type { LoadedFlowRun } from '../../records/flow-runs/flow-runs.repository.js';
import { Notifier } from '../notifications/notifier.service.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { Journal } from '../transitions/journal.js';
import { RunClosing } from '../transitions/run-closing.service.js';
import { StoredRuns } from '../transitions/stored-runs.service.js';
import type { JobEnd } from './base-worker.js';
import type { InfrastructureJob } from './infrastructure-job.js';
import { InfrastructureNotes } from './infrastructure-notes.service.js';
import { explanationOf } from './job-end.js';

/**
 * Decides what becomes of runs whose infrastructure has ended: by the rules like everything else, and by the epoch of their
 * leases. Once somebody else goes on with a run, how its infrastructure ended is no matter of it.
 */
@Injectable()
export class InfrastructureEnds {
  constructor(
    private readonly notes: InfrastructureNotes,
    private readonly storedRuns: StoredRuns,
    private readonly closing: RunClosing,
    private readonly journal: Journal,
    private readonly notifier: Notifier,
    private readonly clock: DatabaseClock,
  ) {}

  /** Moves the run on, unless it came to something by itself. */
  async conclude(job: InfrastructureJob, end: JobEnd): Promise<void> {
    const { id } = job.live.created;
    if (end.exitCode !== 0 && end.goesOn !== false) await this.notes.fence(job);
    const entered = await this.journal.patiently(() =>
      this.storedRuns.proposeOnce(
        id,
        (found) => isOpen(found, job, end),
        (found) => this.stateAfter(found, job, end),
      ),
    );
    if (entered === StateType.Scheduled) this.notifier.notify('due');
    if (entered && isTerminal(entered)) await this.closing.closeWithin([id]);
  }

  private stateAfter(found: LoadedFlowRun, job: InfrastructureJob, end: JobEnd): ProposedState {
    const { row, run } = found;
    if (row.stateType === StateType.Cancelling) return cancelled({ message: 'Its infrastructure has ended.' });
    const scheduledTime = dueAgain(run, this.clock.now());
    // What was ended because this process ends is no matter of the run: it goes on elsewhere.
    if (job.isLeft) return awaitingResume({ scheduledTime, message: 'Its worker shut down.' });
    if (end.exitCode === 0) return crashed({ message: 'Its infrastructure ended without having begun it.' });
    const message = explanationOf(end);
    return goesOn(found, job, end) && run.policy.recoveries < run.policy.maxRecoveries
      ? awaitingResume({ scheduledTime, message, details: { interrupted: true } })
      : crashed({ message });
  }
}

/** Whether a run has come to nothing by itself that its infrastructure was there for. */
function isOpen(found: LoadedFlowRun, job: InfrastructureJob, end: JobEnd): boolean {
  const { row } = found;
  const { epoch } = job.live.lease;
  const wasTaken = row.leaseEpoch === epoch + 1;
  // Under the next epoch it was taken over by this very infrastructure; under any other it is somebody else's.
  if (row.leaseEpoch !== epoch && !wasTaken) return false;
  const isAsItShould = end.exitCode === 0;
  switch (row.stateType) {
    case StateType.Cancelling:
      return true;
    case StateType.Pending:
      return job.isLeft || !isAsItShould || !wasTaken;
    case StateType.Running:
      // Whoever executed what is left has handed it back, or is swept.
      return !isAsItShould && (!job.isLeft || goesOn(found, job, end));
    default:
      return false;
  }
}

/** Whether a run goes on whose infrastructure ended otherwise than it should: one that had begun is a run whose process died. */
function goesOn({ row }: LoadedFlowRun, { live }: InfrastructureJob, end: JobEnd): boolean {
  return end.goesOn ?? row.leaseEpoch === live.lease.epoch + 1;
}
