/** A value as JSON data, with tags where JSON has no word: as it is recorded. */
export type RecordedValue = unknown;

/** A call of a recorded run. */
export interface RecordedRunCall {
  /** `Shop.charge`; for a subflow `flow:` and its name. */
  readonly task: string;
  /** What tells it from other calls of the task in its run: place, inputs and occurrence. */
  readonly key: string;
  /** Of its task run. */
  readonly name: string;
  /** `open` when it was made and had no outcome by then, or its result was not kept, or comes after one that was not. */
  readonly outcome: 'completed' | 'failed' | 'open';
  /** What it returned or threw; `null` when it is open. */
  readonly value: RecordedValue;
  /** Whether the attempt that is recorded made it; otherwise an earlier one did, and it need not be made again. */
  readonly isOfThisAttempt: boolean;
}

/**
 * What is recorded of one flow run, as data for a file: what its flow took, what its calls came to, how it ended. Contents are
 * in the clear, whatever codecs the application has.
 */
export interface RunRecording {
  readonly format: 1;
  readonly flow: string;
  readonly run: {
    readonly id: string;
    readonly name: string;
    readonly attempt: number;
    readonly buildId: string | null;
  };
  readonly parameters: RecordedValue;
  /** What the run drew from `currentRun()`, by place. */
  readonly values: Readonly<Record<string, RecordedValue>>;
  /** In the order in which they came to their outcomes. */
  readonly calls: readonly RecordedRunCall[];
  /** `null` for a run that has not ended, or was ended by something else than its own code. */
  readonly outcome: { readonly kind: 'returned' | 'threw'; readonly value: RecordedValue } | null;
}

/** A call that today's code makes otherwise. */
export interface DifferentCall {
  readonly task: string;
  /** What it was given, shortened, for people; `null` where that is not known. */
  readonly inputs: string | null;
  /** Of the recorded task run; `null` for a call that is not recorded. */
  readonly name: string | null;
}

/** How today's code does on a recorded run. */
export interface ReplayReport {
  readonly flow: string;
  /** Calls that the recorded run did not make. The code got no further than to these: there is no outcome for them. */
  readonly newCalls: readonly DifferentCall[];
  /** Recorded calls that nobody made. */
  readonly missingCalls: readonly DifferentCall[];
  /** Whether the code ended as it is recorded to have; `open` where one of them did not end. */
  readonly outcome: 'same' | 'different' | 'open';
  /** One sentence for each difference, for people; empty when there is none. */
  readonly differences: readonly string[];
}
