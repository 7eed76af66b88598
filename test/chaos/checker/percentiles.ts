/** How long it took, of how many. */
export interface Percentiles {
  readonly n: number;
  readonly p50_ms: number | null;
  readonly p99_ms: number | null;
}

export function percentiles(ms: readonly number[]): Percentiles {
  const sorted = [...ms].sort((one, other) => one - other);
  const at = (share: number): number | null => {
    const found = sorted[Math.ceil(sorted.length * share) - 1];
    return found === undefined ? null : Math.round(found * 10) / 10;
  };
  return { n: sorted.length, p50_ms: at(0.5), p99_ms: at(0.99) };
}
