import { Inject, Injectable } from '@nestjs/common';
import { DataSource, type Repository } from 'typeorm';
import { newId } from '../../persistence/ids.js';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Tx } from '../../persistence/transactions.js';
import { VariableEntity } from './variable.entity.js';

/** A value to be set. */
interface NewVariable {
  readonly name: string;
  /** As JSON text. */
  readonly value: string;
  /** As JSON text; `null` leaves those of an existing variable as they are. */
  readonly tags: string | null;
}

@Injectable()
export class VariablesRepository {
  private readonly variables: Repository<VariableEntity>;
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.variables = dataSource.getRepository(VariableEntity);
    this.schema = schemaOf(dataSource);
  }

  /** Tells whether it did: one that exists is left as it is unless it may be overwritten. Rides `variable_name_key`. */
  async set(tx: Tx, { name, value, tags }: NewVariable, overwrite: boolean): Promise<boolean> {
    const rows = await tx.query(
      `insert into ${this.schema}.variable as v (id, name, value, tags)
       values ($1, $2, $3::jsonb, coalesce($4::jsonb, '[]'))
       on conflict (name) do update
         set value = excluded.value, tags = coalesce($4::jsonb, v.tags), updated = now() where $5::boolean
       returning id`,
      [newId(), name, value, tags, overwrite],
    );
    return rows.length > 0;
  }

  /** Tells whether there was one. */
  async delete(tx: Tx, name: string): Promise<boolean> {
    const rows = await tx.query(`delete from ${this.schema}.variable where name = $1 returning id`, [name]);
    return rows.length > 0;
  }

  find(name: string): Promise<VariableEntity | null> {
    return this.variables.findOneBy({ name });
  }

  /** By name, those after `after`, if one is given. */
  list({ limit, after }: { limit: number; after?: string }): Promise<VariableEntity[]> {
    const query = this.variables.createQueryBuilder('v');
    // Byte by byte, whatever the database's language: pages must not depend on it.
    if (after !== undefined) query.where('v.name collate "C" > :after', { after });
    return query.orderBy('v.name collate "C"').limit(limit).getMany();
  }
}
