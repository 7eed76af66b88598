/** A promise of the design (`I1` to `I9`) that was broken, and by what. */
export interface Violation {
  readonly invariant: 'I1' | 'I2' | 'I3' | 'I4' | 'I5' | 'I6' | 'I7' | 'I9';
  readonly what: string;
}

/** Numbers that a load has besides those of all, for the line of results. */
type Figures = Readonly<Record<string, unknown>>;

/** What the checker found. */
export interface Findings {
  readonly violations: readonly Violation[];
  readonly acknowledged: number;
  readonly completed: number;
  /** Acknowledged runs by the type of the state they are in; `GONE` counts those that are not there. */
  readonly states: Readonly<Record<string, number>>;
  /** Acknowledged runs that are gone, or neither ended nor wait for somebody. */
  readonly lost: number;
  readonly executions: number;
  /** Executions of a call that began after its completion was recorded. */
  readonly reExecuted: number;
  readonly figures: Figures;
}

/** What one check found. */
export interface Checked {
  readonly violations: readonly Violation[];
  readonly figures: Figures;
}
