import { Injectable, NotFoundException, type PipeTransform } from '@nestjs/common';
import { isUUID } from 'class-validator';

/** An id in a path that is no UUID names nothing: the contract answers 404 there, not 422. */
@Injectable()
export class UuidPipe implements PipeTransform<string, string> {
  transform(value: string): string {
    if (!isUUID(value, 'loose')) throw new NotFoundException();
    return value;
  }
}
