import { Inbox } from './inbox.service.js';
import { InputArrivals } from './input-arrivals.service.js';
import { PauseAnswers } from './pause-answers.service.js';
import { RunInputs } from './run-inputs.service.js';
import { RunPauses } from './run-pauses.service.js';

/** Pauses, their answers, and messages between runs. */
export const inputsProviders = [InputArrivals, RunPauses, Inbox, RunInputs, PauseAnswers];
