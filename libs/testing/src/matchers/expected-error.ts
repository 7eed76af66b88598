/** What a run is expected to have failed with: part of the message, a pattern of it, a class, or fields of the error. */
export type ExpectedError =
  string | RegExp | (abstract new (...args: never[]) => Error) | Readonly<Record<string, unknown>>;

/** Whether an error is what was expected, by the equality of the test framework. */
export function isExpectedError(
  error: unknown,
  expected: ExpectedError,
  equals: (one: unknown, other: unknown) => boolean,
): boolean {
  const message = error instanceof Error ? error.message : String(error);
  if (typeof expected === 'string') return message.includes(expected);
  if (expected instanceof RegExp) return expected.test(message);
  if (typeof expected === 'function')
    // An error whose class is not registered comes back as one of another class, under its own name.
    return error instanceof expected || (error instanceof Error && error.name === expected.name);
  return Object.entries(expected).every(([field, value]) => equals((error as Record<string, unknown>)[field], value));
}
