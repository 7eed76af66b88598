/** Slots that code of this process asks for. */
export interface SlotRequest {
  readonly names: readonly string[];
  /** Of each limit. */
  readonly slots: number;
  /** Whether they come back by decay alone, and nothing is held. */
  readonly isRate: boolean;
  readonly isStrict: boolean;
  readonly timeoutMs: number | null;
  readonly maxRetries: number | null;
  readonly leaseMs: number | null;
  readonly onLeaseLost: 'warn' | 'abort';
  /** Whether nothing is said of it, neither in events nor in warnings. Default: something is. */
  readonly isSilent?: boolean;
}

/** What code that holds slots knows of them. */
export interface SlotHold {
  /** The limits that slots are held of; none where there are no active limits of these names. */
  readonly limits: readonly string[];
  /** Fires when the slots are lost and `onLeaseLost` is `'abort'`, and when the attempt around the code is over. */
  readonly signal: AbortSignal;
}

/** What code may ask for. */
export interface SlotBlocking {
  /** Runs `work` while slots are held. */
  hold<T>(request: SlotRequest, work: (held: SlotHold) => Promise<T>): Promise<T>;
  /** Takes slots at a rate. */
  pass(request: SlotRequest): Promise<void>;
}
