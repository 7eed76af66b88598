import { instantOfMs, parseInstant } from '@nestor/core';
import { types, type CustomTypesConfig } from 'pg';

type Parser = (text: string) => unknown;

/**
 * How values of PostgreSQL arrive in code, on our connections only (the host's own are not touched).
 *
 * `timestamptz` becomes an instant in microseconds; `bigint` a number, exact up to 2^53, which our counts and
 * microseconds stay below; `json` stays text, because it holds encoded payloads that only the codec may read.
 */
export const typeParsers: CustomTypesConfig = {
  getTypeParser(oid: number, format?: 'text' | 'binary'): Parser {
    if (format === 'binary') return types.getTypeParser(oid, 'binary') as Parser;
    switch (oid) {
      case types.builtins.TIMESTAMPTZ:
        return parseTimestamptz;
      case types.builtins.INT8:
        return Number;
      case types.builtins.JSON:
        return (text: string) => text;
      default:
        return types.getTypeParser(oid, 'text') as Parser;
    }
  },
};

function parseTimestamptz(text: string): number {
  if (text === 'infinity') return Infinity;
  if (text === '-infinity') return -Infinity;
  return text.endsWith('BC') ? instantOfMs(NaN) : parseInstant(text);
}
