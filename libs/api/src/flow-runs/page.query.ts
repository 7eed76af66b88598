import { UnprocessableEntityException } from '@nestjs/common';
import { Transform } from 'class-transformer';
import { IsInt, IsOptional, IsUUID, Min } from 'class-validator';

const MAX_LIMIT = 200;

/** `?limit=` and `?cursor=` of a list. */
export class PageQuery {
  /** 1 to 200. */
  @IsOptional()
  @Transform(({ value }) => limitOf(value))
  @IsInt()
  @Min(1)
  limit: number = 50;

  /** The `next` of the page before. */
  @IsOptional()
  @IsUUID('loose')
  cursor?: string;
}

/** A page that is too large has an answer of its own in the contract: one sentence instead of the list of what is wrong. */
function limitOf(value: unknown): unknown {
  const limit = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value;
  if (typeof limit === 'number' && limit > MAX_LIMIT) {
    throw new UnprocessableEntityException(`Invalid limit: must be less than or equal to ${MAX_LIMIT}.`);
  }
  return limit;
}
