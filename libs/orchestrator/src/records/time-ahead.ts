/** The database's time, ahead by as many microseconds as the parameter says: those that a clock of tests has skipped, else 0. */
export const timeAhead = (parameter: string): string =>
  `clock_timestamp() + ${parameter}::bigint * interval '1 microsecond'`;
