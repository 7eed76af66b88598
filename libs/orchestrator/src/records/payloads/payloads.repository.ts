import { Inject, Injectable } from '@nestjs/common';
import { DataSource, type Repository } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { preparedStatement, type PreparedStatement, type Tx } from '../../persistence/transactions.js';
import { PayloadEntity } from './payload.entity.js';

@Injectable()
export class PayloadsRepository {
  private readonly payloads: Repository<PayloadEntity>;
  private readonly insertStatement: PreparedStatement;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.payloads = dataSource.getRepository(PayloadEntity);
    const text = `insert into ${schemaOf(dataSource)}.payload (id, data) values ($1, $2) on conflict do nothing`;
    this.insertStatement = preparedStatement('insert_payload', text);
  }

  /** Keeps a payload; doing it twice (after a commit nobody heard of) changes nothing. */
  async insert(tx: Tx, id: string, data: Uint8Array): Promise<void> {
    // Without a copy, and as what `pg` sends in binary form.
    await tx.query(this.insertStatement, [id, Buffer.from(data.buffer, data.byteOffset, data.byteLength)]);
  }

  async find(id: string): Promise<Uint8Array | null> {
    return (await this.payloads.findOneBy({ id }))?.data ?? null;
  }

  async delete(id: string): Promise<void> {
    await this.payloads.delete({ id });
  }
}
