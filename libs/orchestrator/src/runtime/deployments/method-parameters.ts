/** What means more than its fields, and is therefore one argument among others: as `parametersOf` has it. */
type Value =
  | readonly unknown[]
  | Date
  | ReadonlyMap<unknown, unknown>
  | ReadonlySet<unknown>
  | RegExp
  | URL
  | Error
  | ArrayBuffer
  | ArrayBufferView
  | ((...args: never[]) => unknown);

/**
 * The parameters of the runs of a method, by the names under which they are kept: the fields of the one object that it takes,
 * else its arguments by their position, from `"0"`.
 */
export type MethodParameters<M> = M extends (...args: infer Args extends unknown[]) => unknown
  ? Required<Args> extends [infer Only]
    ? [Only] extends [Value]
      ? ByPosition<Args>
      : [Only] extends [object]
        ? Only
        : ByPosition<Args>
    : ByPosition<Args>
  : never;

type ByPosition<Args extends unknown[]> = {
  readonly [Position in keyof Args as Position extends `${number}` ? Position : never]?: Args[Position];
};
