/** A large payload of rows that were removed, which is in a store of the application's own. */
export interface ForeignPayload {
  readonly store: string;
  readonly key: string;
}

/** How a column begins that refers to a payload, or holds one that codecs changed; see `writeEnvelope` in core. */
const ENVELOPE = '{"$nestor":"payload",';

/**
 * The common table expressions that go with removed rows: the payloads that their columns refer to, which are removed in the same
 * statement where they are in our table.
 *
 * @param columns each a `select` of one column, as text, of rows that were removed.
 */
export const withPayloads = (schema: string, columns: readonly string[]): string => `
  reference as materialized (
    select sealed.text::json ->> 'store' as store, sealed.text::json ->> 'key' as key
      from (${columns.join(' union all ')}) as sealed(text)
     where starts_with(sealed.text, '${ENVELOPE}')
  ), payloads as (
    delete from ${schema}.payload
     where id = any(array(select key::uuid from reference where store = 'database'))
  )`;

/** Those of them that are elsewhere, as one value. */
export const FOREIGN_PAYLOADS = `
  coalesce((select jsonb_agg(jsonb_build_object('store', store, 'key', key)) from reference where store <> 'database'), '[]'::jsonb)`;
