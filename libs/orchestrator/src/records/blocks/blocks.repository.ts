import type { Instant } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { newId } from '../../persistence/ids.js';
import { schemaOf } from '../../persistence/schema-of.js';
import { storableJson } from '../../persistence/storable-json.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Tx } from '../../persistence/transactions.js';
import type { BlockSchemaEntity } from './block-schema.entity.js';
import type { BlockTypeEntity } from './block-type.entity.js';

/** What a class says of its documents. */
export interface BlockRegistration {
  readonly type: Pick<
    BlockTypeEntity,
    'slug' | 'name' | 'logoUrl' | 'documentationUrl' | 'description' | 'codeExample'
  >;
  readonly schema: Pick<BlockSchemaEntity, 'checksum' | 'version'> & {
    readonly fields: Readonly<Record<string, unknown>>;
    readonly capabilities: readonly string[];
  };
}

/** A document as it is written. */
interface BlockContent {
  readonly id: string;
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** By JSON pointer, encrypted. */
  readonly secrets: Readonly<Record<string, string>>;
}

/** A document as it is kept, with the slug of its type. */
export interface StoredBlock {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly data: Record<string, unknown>;
  readonly secrets: Record<string, string>;
  readonly created: Instant;
  readonly updated: Instant;
}

/** Keeps configuration documents, and what their classes say of them. */
@Injectable()
export class BlocksRepository {
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource) {
    this.schema = schemaOf(dataSource);
  }

  /**
   * Writes a document, and registers its type and schema. Tells whether it did: another document of the name is left as it
   * is. So is one that was encrypted for another id, which is what another process may have created meanwhile.
   */
  async save(tx: Tx, { type, schema }: BlockRegistration, block: BlockContent, overwrite: boolean): Promise<boolean> {
    const rows = await tx.query(saveBlock(this.schema), [
      ...[newId(), type.slug, type.name, type.logoUrl, type.documentationUrl, type.description, type.codeExample],
      ...[newId(), schema.checksum, storableJson(schema.fields), storableJson(schema.capabilities), schema.version],
      ...[block.id, block.name, storableJson(block.data), JSON.stringify(block.secrets), overwrite],
    ]);
    return rows.length > 0;
  }

  /** Puts other secrets in the place of these; tells whether these were still there. */
  async replaceSecrets(tx: Tx, { id, secrets }: StoredBlock, others: StoredBlock['secrets']): Promise<boolean> {
    const rows = await tx.query(
      `update ${this.schema}.block_document set secrets = $3::jsonb where id = $1 and secrets = $2::jsonb returning id`,
      [id, JSON.stringify(secrets), JSON.stringify(others)],
    );
    return rows.length > 0;
  }

  /** Tells whether there was one. */
  async delete(tx: Tx, slug: string, name: string): Promise<boolean> {
    const rows = await tx.query(
      `delete from ${this.schema}.block_document d using ${this.schema}.block_type t
        where t.id = d.block_type_id and t.slug = $1 and d.name = $2 returning d.id`,
      [slug, name],
    );
    return rows.length > 0;
  }

  async find(slug: string, name: string): Promise<StoredBlock | null> {
    const [block] = await this.dataSource.query<StoredBlock[]>(`${this.selection} where t.slug = $1 and d.name = $2`, [
      slug,
      name,
    ]);
    return block ?? null;
  }

  /** Named documents in the order of their creation; of one type, and after the document `after`, if those are given. */
  list({ limit, slug, after }: { limit: number; slug?: string; after?: string }): Promise<StoredBlock[]> {
    return this.dataSource.query<StoredBlock[]>(
      `${this.selection} where d.name is not null and ($1::text is null or t.slug = $1) and ($2::uuid is null or d.id > $2)
        order by d.id limit $3`,
      [slug ?? null, after ?? null, limit],
    );
  }

  private get selection(): string {
    return `select d.id, t.slug, d.name, d.data, d.secrets, d.created, d.updated
              from ${this.schema}.block_document d join ${this.schema}.block_type t on t.id = d.block_type_id`;
  }
}

/**
 * One statement, so that no document is without its type and schema. Rows are locked in this order by everybody: type,
 * schema, document. `do update` of what is there already, because `do nothing` would not give its id.
 */
const saveBlock = (schema: string): string => `
  with kind as (
    insert into ${schema}.block_type (id, slug, name, logo_url, documentation_url, description, code_example)
    values ($1, $2, $3, $4, $5, $6, $7)
    on conflict (slug) do update
      set name = excluded.name, logo_url = excluded.logo_url, documentation_url = excluded.documentation_url,
          description = excluded.description, code_example = excluded.code_example, updated = now()
    returning id
  ), fields as (
    insert into ${schema}.block_schema (id, checksum, fields, capabilities, version, block_type_id)
    select $8::uuid, $9::text, $10::jsonb, $11::jsonb, $12::text, id from kind
    on conflict (checksum, version) do update
      set capabilities = excluded.capabilities, block_type_id = excluded.block_type_id, updated = now()
    returning id
  )
  insert into ${schema}.block_document as d (id, name, data, secrets, block_type_id, block_schema_id)
  select $13::uuid, $14::text, $15::jsonb, $16::jsonb, kind.id, fields.id from kind, fields
  on conflict (block_type_id, name) do update
    set data = excluded.data, secrets = excluded.secrets, block_schema_id = excluded.block_schema_id, updated = now()
  where $17::boolean and d.id = excluded.id
  returning id`;
