// How services name methods of a class in a typed way: `start(Shop, 'order', …)`.

type AsyncMethod = (...args: never[]) => Promise<unknown>;

/** The methods of `T` that return promises. */
export type AsyncMethodName<T> = { [K in keyof T]: T[K] extends AsyncMethod ? K : never }[keyof T] & string;

export type MethodArgs<T, K extends keyof T> = T[K] extends (...args: infer Args extends unknown[]) => unknown
  ? Args
  : never;

/** What the promise of a method gives. */
export type MethodResult<T, K extends keyof T> = T[K] extends (...args: never[]) => Promise<infer Result>
  ? Result
  : never;
