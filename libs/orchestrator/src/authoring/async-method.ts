/**
 * A method that may be decorated: it returns a promise. Anything else does not compile, because a run cannot be recorded
 * without waiting.
 */
export type AsyncMethod = (...args: never[]) => Promise<unknown>;
