import { Inject, Injectable } from '@nestjs/common';
import { DataSource, In, type Repository } from 'typeorm';
import { newId } from '../../persistence/ids.js';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Tx } from '../../persistence/transactions.js';
import { FlowEntity } from './flow.entity.js';

@Injectable()
export class FlowsRepository {
  private readonly flows: Repository<FlowEntity>;
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.flows = dataSource.getRepository(FlowEntity);
    this.schema = schemaOf(dataSource);
  }

  /** Makes sure that a flow of each name exists, whichever process is first, and gives their ids by name. */
  async register(tx: Tx, names: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const rows = await tx.query<{ name: string; id: string }>(registerFlows(this.schema), [
      names.map(() => newId()),
      names,
    ]);
    return new Map(rows.map(({ name, id }) => [name, id]));
  }

  /** The ids of those of the flows that are known, by name. */
  async idsOf(names: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const rows = await this.flows.findBy({ name: In([...names]) });
    return new Map(rows.map(({ name, id }) => [name, id]));
  }

  findByName(name: string): Promise<FlowEntity | null> {
    return this.flows.findOneBy({ name });
  }

  findByIds(ids: readonly string[]): Promise<FlowEntity[]> {
    return this.flows.findBy({ id: In([...ids]) });
  }
}

/**
 * Inserts in order of name, so that two processes that start together never wait for each other crosswise. `do update`
 * of nothing, because `do nothing` would not return the rows that exist already. Rides `flow_name_key`.
 */
const registerFlows = (schema: string): string => `
  insert into ${schema}.flow as f (id, name)
  select * from unnest($1::uuid[], $2::text[]) as n(id, name) order by n.name
  on conflict (name) do update set name = excluded.name
  returning f.name, f.id`;
