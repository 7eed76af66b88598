import type { ClientBase } from 'pg';
import type { Tx } from './transactions.js';
import { typeParsers } from './type-parsers.js';

/**
 * A transaction that the application opened, on a connection of its own. Nothing stays behind in that: our statements are not
 * prepared in it, and its parsers of values are not touched.
 */
export function borrowedSession(client: ClientBase): Tx {
  return {
    query: async <Row>(statement: string | { readonly text: string }, parameters: readonly unknown[] = []) => {
      const text = typeof statement === 'string' ? statement : statement.text;
      const { rows } = await client.query({ text, values: [...parameters], types: typeParsers });
      return rows as Row[];
    },
  } as Tx;
}
