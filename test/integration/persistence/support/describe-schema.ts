interface Session {
  query<Row>(sql: string, parameters: unknown[]): Promise<Row>;
}

/** Everything in a schema, one line each, in order: relations, columns, constraints, indexes, functions and comments. */
export async function describeSchema(session: Session, schema: string): Promise<string[]> {
  const rows = await session.query<{ line: string }[]>(DESCRIPTION, [schema]);
  return rows.map(({ line }) => line);
}

const DESCRIPTION = `
  with namespace as (select oid from pg_namespace where nspname = $1)
  select line from (
    select format('relation %s kind %s partition %s', c.oid::regclass, c.relkind,
                  pg_get_expr(c.relpartbound, c.oid)) as line
      from pg_class c where c.relnamespace = (select oid from namespace) and c.relkind <> 'i' and c.relkind <> 'I'
    union all
    select format('column %s.%s %s not null %s default %s', a.attrelid::regclass, a.attname,
                  format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid))
      from pg_attribute a
      join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p', 'v')
      left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
     where c.relnamespace = (select oid from namespace) and a.attnum > 0 and not a.attisdropped
    union all
    select format('constraint %s on %s %s', conname, conrelid::regclass, pg_get_constraintdef(oid))
      from pg_constraint where connamespace = (select oid from namespace) and contype <> 'n'
    union all
    select format('index %s', pg_get_indexdef(i.indexrelid))
      from pg_index i join pg_class c on c.oid = i.indexrelid where c.relnamespace = (select oid from namespace)
    union all
    select format('function %s', pg_get_functiondef(p.oid))
      from pg_proc p where p.pronamespace = (select oid from namespace)
    union all
    select format('view %s as %s', c.oid::regclass, pg_get_viewdef(c.oid))
      from pg_class c where c.relnamespace = (select oid from namespace) and c.relkind = 'v'
    union all
    select format('comment on %s: %s', pg_describe_object(d.classoid, d.objoid, d.objsubid), d.description)
      from pg_description d
     where d.objoid in (select oid from pg_class where relnamespace = (select oid from namespace)
                        union all select oid from pg_proc where pronamespace = (select oid from namespace))
  ) as lines order by line collate "C"`;
