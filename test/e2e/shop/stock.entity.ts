import { Column, Entity, PrimaryColumn } from 'typeorm';

/** What a shop has of an article. */
@Entity('stock')
export class Stock {
  @PrimaryColumn('text')
  tenant!: string;

  @PrimaryColumn('text')
  sku!: string;

  @Column('integer')
  available!: number;

  /** In cents. */
  @Column('integer')
  price!: number;
}
