/** As in the contract: how many seconds a run keeps a slot of its deployment without a sign of life, where that does not say. */
const USUAL_SECONDS = 300;

/** The grace period of deployment `d`, in seconds. */
export const gracePeriodOf = (d: string): string =>
  `coalesce((${d}.concurrency_options ->> 'grace_period_seconds')::float8, ${USUAL_SECONDS})`;
