/**
 * A method that may be decorated: it returns a promise. Anything else does not compile, because a run cannot be recorded
 * without waiting.
 */
export type AsyncMethod = (...args: never[]) => Promise<unknown>;

/**
 * What a decorator of an instance method is given. A static method, whose class is given instead of a prototype, does not
 * compile: there is no instance to inject anything into.
 */
export type Prototype<T extends object> = T extends abstract new (...args: never[]) => unknown ? never : T;
