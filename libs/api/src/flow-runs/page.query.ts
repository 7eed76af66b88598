import { Type } from 'class-transformer';
import { IsInt, IsOptional, IsUUID, Max, Min } from 'class-validator';

/** `?limit=` and `?cursor=` of a list. */
export class PageQuery {
  /** 1 to 200. */
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(200)
  limit: number = 50;

  /** The `next` of the page before. */
  @IsOptional()
  @IsUUID()
  cursor?: string;
}
