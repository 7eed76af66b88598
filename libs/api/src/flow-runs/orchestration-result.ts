import { InvalidRunInputError, RunControlRefusedError, type State } from '@nestor/orchestrator';
import { stateDto } from './flow-run.dto.js';

/** The answer to whoever wants a run to change its state, in the form of the contract: a refusal is an answer as well. */
export interface OrchestrationResult {
  /** The state the run is in by it; `null` where it stays as it was. */
  readonly state: ReturnType<typeof stateDto> | null;
  readonly status: 'ACCEPT' | 'REJECT' | 'ABORT';
  readonly details: { readonly type: string; readonly reason?: string };
}

/** The answer to what was asked of a run, once it is decided. Errors of other kinds pass. */
export async function answerOf(asked: Promise<State>): Promise<OrchestrationResult> {
  try {
    return { state: stateDto(await asked), status: 'ACCEPT', details: { type: 'accept_details' } };
  } catch (error) {
    if (error instanceof InvalidRunInputError) {
      return { state: null, status: 'REJECT', details: { type: 'reject_details', reason: error.message } };
    }
    if (error instanceof RunControlRefusedError) {
      return { state: null, status: 'ABORT', details: { type: 'abort_details', reason: error.message } };
    }
    throw error;
  }
}
