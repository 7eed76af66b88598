import { openSync, write } from 'node:fs';
import { promisify } from 'node:util';

const writeTo = promisify(write);

/** One execution of a call: which run called it, which step of the run it is, and the name of this very execution. */
export interface Token {
  readonly run: string;
  /** The same for the same call, however often it is executed; a step is to complete once. */
  readonly step: string;
  readonly exec: string;
}

/** What is written down, each with the milliseconds since 1970 at which it happened. */
export type WitnessLine = { readonly at: number } & (
  | {
      /** A run was started, and its id given to whoever started it. */
      readonly kind: 'acknowledged';
      readonly run: string;
      readonly flow: string;
      readonly expected: 'COMPLETED' | 'FAILED';
    }
  /** Somebody is about to cancel a run. */
  | { readonly kind: 'cancel'; readonly run: string }
  /** The body of a flow began, in an engine process of that id. */
  | { readonly kind: 'flow'; readonly run: string; readonly attempt: number; readonly process: string }
  /** The body of a task began, and knows these executions of earlier steps. */
  | ({
      readonly kind: 'start';
      readonly taskRun: string;
      readonly process: string;
      readonly atMostOnce: boolean;
      readonly saw: readonly Token[];
      /** What the flow drew before it called. */
      readonly drew: Readonly<Record<string, unknown>>;
    } & Token)
  /** It is about to return. */
  | { readonly kind: 'end'; readonly exec: string }
  /** Whoever waited for a run got its result. */
  | { readonly kind: 'result'; readonly run: string; readonly saw: readonly Token[] }
  /** Code has the slots that it asked for. */
  | { readonly kind: 'acquired'; readonly claim: string; readonly process: string; readonly pid: number }
  /** Somebody is about to ask for runs with these marks among their parameters. */
  | { readonly kind: 'asked'; readonly marks: readonly string[]; readonly how: string }
  /** Somebody asked for the run with a key, and got this one. */
  | { readonly kind: 'keyed'; readonly key: string; readonly run: string }
  /** A transaction in which a run was asked for has been rolled back. */
  | { readonly kind: 'rolled-back'; readonly mark: string }
);

type WitnessRecord = WitnessLine extends infer Line ? (Line extends unknown ? Omit<Line, 'at'> : never) : never;

/**
 * A file to which one process appends what happens in it. What is awaited survives the process. It is not brought to the disk:
 * processes are killed here, never the machine, and the log of the database would have to wait for that disk.
 */
export class Witness {
  private readonly file: number;
  private waiting: {
    readonly text: string;
    readonly written: () => void;
    readonly failed: (error: unknown) => void;
  }[] = [];
  private writing = false;

  constructor(path: string) {
    this.file = openSync(path, 'a');
  }

  /**
   * Resolves when the line is written. Lines that come up at the same time share the way there.
   *
   * @param at when it happened; default: now.
   */
  write(line: WitnessRecord, at = Date.now()): Promise<void> {
    const text = `${JSON.stringify({ at, ...line })}\n`;
    return new Promise((written, failed) => {
      this.waiting.push({ text, written, failed });
      if (!this.writing) void this.writeAll();
    });
  }

  private async writeAll(): Promise<void> {
    this.writing = true;
    while (this.waiting.length > 0) {
      const lines = this.waiting.splice(0);
      try {
        await writeTo(this.file, lines.map(({ text }) => text).join(''));
        for (const { written } of lines) written();
      } catch (error) {
        for (const { failed } of lines) failed(error);
      }
    }
    this.writing = false;
  }
}
