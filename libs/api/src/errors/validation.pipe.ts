import {
  UnprocessableEntityException,
  ValidationPipe,
  type ArgumentMetadata,
  type ValidationError,
} from '@nestjs/common';
import * as transformerPackage from 'class-transformer';
import * as validatorPackage from 'class-validator';

/** What class-validator found; the pipe knows where in the request. */
class InvalidInput {
  constructor(readonly errors: readonly ValidationError[]) {}
}

/** Validates bodies and queries against their DTO classes; what is wrong is answered in the shape of the contract. */
export class ContractValidationPipe extends ValidationPipe {
  constructor() {
    super({
      transform: true,
      exceptionFactory: (errors: ValidationError[]) => new InvalidInput(errors),
      // Named, so that they are loaded by us: left to itself, Nest ends the process where it cannot `import()`.
      validatorPackage,
      transformerPackage,
    });
  }

  override async transform(value: unknown, metadata: ArgumentMetadata): Promise<unknown> {
    try {
      return await super.transform(value, metadata);
    } catch (error) {
      if (!(error instanceof InvalidInput)) throw error;
      throw new UnprocessableEntityException({
        exception_message: 'Invalid request received.',
        exception_detail: error.errors.flatMap((each) => details(each, [metadata.type])),
        request_body: metadata.type === 'body' ? value : null,
      });
    }
  }
}

interface Detail {
  readonly loc: readonly string[];
  readonly msg: string;
  readonly type: string;
  readonly input: unknown;
}

function details(
  { property, value, constraints = {}, children = [] }: ValidationError,
  path: readonly string[],
): Detail[] {
  const loc = [...path, property];
  const own = Object.entries(constraints).map(([type, msg]) => ({ type, loc, msg, input: value as unknown }));
  return [...own, ...children.flatMap((child) => details(child, loc))];
}
