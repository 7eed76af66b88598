/** What a payload is and whose. */
export interface PayloadContext {
  /** The flow run or task run it belongs to. */
  readonly runId: string;
  /** What it is, for people: `result of task "Orders.load"`. */
  readonly subject: string;
}

/**
 * Keeps payloads that are too large for the row of their run. The row refers to them by the name of the store and their
 * key, and is written after `put` has resolved: what `put` takes must be durable by then. A payload whose row was never
 * written, because the process died in between, stays behind and harms nobody.
 */
export interface PayloadStore {
  /** Stands in every reference: never change it while runs refer to it. `database` and `directory` are taken. */
  readonly name: string;

  /**
   * Keeps bytes under a key, durably.
   *
   * @param key a UUID (version 7), never used for other bytes. Its time is that of the run, so what belongs together can be
   * deleted together.
   * @throws when they are not kept; the attempt of the run fails with it, and is tried again as its retries say.
   */
  put(key: string, bytes: Uint8Array, context: PayloadContext): Promise<void>;

  /** The bytes kept under a key; `null` when there are none. */
  get(key: string): Promise<Uint8Array | null>;

  /**
   * Forgets a key; one that is not there is no error. Called right after the rows that referred to it were removed because
   * of their age, at most once: what it fails to forget stays, and so does what was to be forgotten when the process died.
   * Nothing leads there any more.
   */
  delete(key: string): Promise<void>;
}
