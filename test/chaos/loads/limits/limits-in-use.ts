/** The limits that are asked for, by name. */
export const LIMITS = { five: 5, three: 3 } as const;
