import type { RecordedCall } from '../replay/recorded-call.js';
import { Replay } from '../replay/replay.js';

/** A call, told apart within its run. */
export interface CallKey {
  readonly taskKey: string;
  readonly dynamicKey: string;
}

/** What is recorded of a run while its body is rehearsed: recorded calls get their outcome, all others wait for ever. */
export class RehearsedReplay extends Replay {
  override readonly isRehearsal = true;

  /** The calls that are not recorded, in the order in which they were made. */
  readonly held: CallKey[] = [];

  constructor(recorded: readonly RecordedCall[], values: ReadonlyMap<string, string>) {
    super(recorded, values, 'run', () => undefined);
  }

  /** The recorded calls that this attempt has not made, in the order in which they ended. */
  get missing(): RecordedCall[] {
    return [...this.calls.values()].filter(({ isOfThisAttempt }) => isOfThisAttempt);
  }

  /** Grows with every call. */
  get progress(): number {
    return this.held.length - this.calls.size;
  }

  override admit(taskKey: string, dynamicKey: string): Promise<void> {
    this.held.push({ taskKey, dynamicKey });
    return new Promise(() => undefined);
  }
}
