import { Inject, Injectable } from '@nestjs/common';
import { DataSource, type Repository } from 'typeorm';
import { newId } from '../../persistence/ids.js';
import { schemaOf } from '../../persistence/schema-of.js';
import { storableJson, storableText } from '../../persistence/storable-json.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Tx } from '../../persistence/transactions.js';
import { ArtifactCollectionEntity } from './artifact-collection.entity.js';
import { ArtifactEntity } from './artifact.entity.js';

/** An artifact as it is published. */
interface NewArtifact extends Pick<ArtifactEntity, 'id' | 'key' | 'description' | 'flowRunId' | 'taskRunId'> {
  readonly type: string;
  readonly data: string | number;
}

/** Keeps artifacts: all of them, and of each key the latest besides. */
@Injectable()
export class ArtifactsRepository {
  private readonly artifacts: Repository<ArtifactEntity>;
  private readonly collections: Repository<ArtifactCollectionEntity>;
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.artifacts = dataSource.getRepository(ArtifactEntity);
    this.collections = dataSource.getRepository(ArtifactCollectionEntity);
    this.schema = schemaOf(dataSource);
  }

  /** Keeps an artifact, and makes it the latest of its key. One whose id is there already changes nothing. */
  async insert(tx: Tx, { id, key, type, data, description, flowRunId, taskRunId }: NewArtifact): Promise<void> {
    const text = description && storableText(description);
    const values = [id, key, type, storableJson(data), text, flowRunId, taskRunId, newId()];
    await tx.query(insertArtifact(this.schema), values);
  }

  /** Sets the data of an artifact of that type, where it is the latest of its key there too. Tells whether there is one. */
  async setData(tx: Tx, id: string, type: string, data: number): Promise<boolean> {
    return (await tx.query(setArtifactData(this.schema), [id, type, storableJson(data)])).length > 0;
  }

  find(id: string): Promise<ArtifactEntity | null> {
    return this.artifacts.findOneBy({ id });
  }

  findLatest(key: string): Promise<ArtifactCollectionEntity | null> {
    return this.collections.findOneBy({ key });
  }

  /** The artifacts of a key, latest first; those before the artifact `before`, if one is given. Rides `artifact_key_idx`. */
  list(key: string, { limit, before }: { limit: number; before?: string }): Promise<ArtifactEntity[]> {
    const query = this.artifacts.createQueryBuilder('a').where('a.key = :key', { key });
    if (before !== undefined) {
      query.andWhere(
        `(a.created, a.id) < (select b.created, b.id from ${this.schema}.artifact b where b.id = :before)`,
        {
          before,
        },
      );
    }
    return query.orderBy('a.created', 'DESC').addOrderBy('a.id', 'DESC').limit(limit).getMany();
  }
}

/**
 * One statement, so that a key never has a latest artifact that its history lacks. Of two that are published at once, the one
 * created later wins, whichever is written last: `artifact_collection` says what the history says.
 */
const insertArtifact = (schema: string): string => `
  with published as (
    insert into ${schema}.artifact (id, key, type, data, description, flow_run_id, task_run_id)
    values ($1, $2, $3, $4, $5, $6, $7)
    on conflict (id) do nothing
    returning *
  )
  insert into ${schema}.artifact_collection as c
    (id, key, latest_id, latest_created, type, data, description, metadata, flow_run_id, task_run_id)
  select $8::uuid, key, id, created, type, data, description, metadata, flow_run_id, task_run_id
    from published where key is not null
  on conflict (key) do update
    set latest_id = excluded.latest_id, latest_created = excluded.latest_created, updated = now(), type = excluded.type,
        data = excluded.data, description = excluded.description, metadata = excluded.metadata,
        flow_run_id = excluded.flow_run_id, task_run_id = excluded.task_run_id
  where (c.latest_created, c.latest_id) < (excluded.latest_created, excluded.latest_id)`;

const setArtifactData = (schema: string): string => `
  with changed as (
    update ${schema}.artifact set data = $3, updated = now() where id = $1 and type = $2 returning id, data
  ), latest as (
    update ${schema}.artifact_collection c set data = changed.data, updated = now()
      from changed where c.latest_id = changed.id
  )
  select id from changed`;
