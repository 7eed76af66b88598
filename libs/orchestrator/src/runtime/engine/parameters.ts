/**
 * The parameters of a run, by name: the fields of the one object a flow takes. Arguments of any other form are named by
 * their position, from `"0"`.
 */
export function parametersOf(args: readonly unknown[]): Record<string, unknown> {
  if (args.length === 0) return {};
  const only = args.length === 1 ? args[0] : undefined;
  if (isRecord(only)) return { ...only };
  return Object.fromEntries(args.map((value, index) => [String(index), value]));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return !(value instanceof Date || value instanceof Map || value instanceof Set || ArrayBuffer.isView(value));
}
