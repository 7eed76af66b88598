import type { ProposedState } from '@nestor/core';
import type { TaskInputs } from '../../records/task-runs/task-inputs.js';
import type { DelayRequest } from '../background/delay-options.js';
import type { RunSettings } from './definitions.js';

/** What one call asks for besides its arguments: see `withOptions` and `submit`. */
export interface CallOptions {
  /** What it changes about the definition; tags are added. */
  readonly settings: Partial<RunSettings>;
  /** Names the call, so that it is recognised by that in place of its inputs; `null` for the usual way. */
  readonly key: string | null;
  /** As the option of tasks; `null`: as the task says. */
  readonly refreshCache: boolean | null;
  /** Told at once which run the call is. */
  readonly trace: CallTrace | null;
  /** What the arguments wait for; `null` when they are all there. */
  readonly upstream: Upstream | null;
  /** Puts the call into the queue in place of making it: see `delay`. */
  readonly delayed?: DelayRequest;
}

/** Which run a call became, for whoever made it. */
export interface CallTrace {
  /** `null` until there is one. */
  run: TracedRun | null;
}

export interface TracedRun {
  readonly kind: 'flow-run' | 'task-run';
  readonly id: string;
  readonly name: string;
  /** What the call is recognised by when the flow is replayed. */
  readonly key: string;
  /** As it stands now; `null` before its first state. */
  readonly state: () => ProposedState | null;
}

/** Arguments that are not there yet. */
export interface Upstream {
  /** The arguments as far as they are known, with a mark for each that is waited for: what the call is recognised by. */
  readonly marks: readonly unknown[];
  /** Which runs they come from, as far as that is known now. */
  readonly inputs: () => TaskInputs;
  /** @throws {UpstreamError} when one of those did not complete. */
  readonly resolve: () => Promise<readonly unknown[]>;
}
