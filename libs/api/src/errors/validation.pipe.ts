import { UnprocessableEntityException, ValidationPipe, type ValidationError } from '@nestjs/common';

/** Validates bodies and queries against their DTO classes; what is wrong is answered in the shape of the contract. */
export function validationPipe(): ValidationPipe {
  return new ValidationPipe({
    transform: true,
    exceptionFactory: (errors: ValidationError[]) =>
      new UnprocessableEntityException({
        exception_message: 'Invalid request received.',
        exception_detail: errors.flatMap((error) => details(error, [])),
      }),
  });
}

interface Detail {
  readonly loc: readonly string[];
  readonly msg: string;
  readonly type: string;
}

function details({ property, constraints = {}, children = [] }: ValidationError, path: readonly string[]): Detail[] {
  const loc = [...path, property];
  const own = Object.entries(constraints).map(([type, msg]) => ({ loc, msg, type }));
  return [...own, ...children.flatMap((child) => details(child, loc))];
}
