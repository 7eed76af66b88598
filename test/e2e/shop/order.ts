import { IsBoolean, IsInt, IsOptional, IsString, Length, Max, Min } from 'class-validator';

/** What is ordered: the parameters of the flow, and the body of the request. */
export class Order {
  @IsString()
  @Length(1, 40)
  id!: string;

  @IsString()
  @Length(1, 40)
  tenant!: string;

  @IsString()
  @Length(1, 40)
  sku!: string;

  @IsInt()
  @Min(1)
  @Max(1_000)
  quantity!: number;
}

/** What somebody decides about a large order. */
export class Approval {
  @IsBoolean()
  approved!: boolean;

  @IsOptional()
  @IsString()
  note?: string;
}

/** What became of an order. */
export interface Receipt {
  readonly order: string;
  readonly total: number;
  readonly payment: string;
  readonly parcel: string;
}

/** A person said no. */
export class OrderRefusedError extends Error {
  readonly code = 'ORDER_REFUSED';
}

/** There is less than was ordered. */
export class OutOfStockError extends Error {
  readonly code = 'OUT_OF_STOCK';
}
