import 'reflect-metadata';
import { UnprocessableEntityException, type ArgumentMetadata } from '@nestjs/common';
import { Type } from 'class-transformer';
import { IsInt, IsString, ValidateNested } from 'class-validator';
import { ContractValidationPipe } from './validation.pipe.js';

class Policy {
  @IsInt()
  retries!: number;
}

class Body {
  @IsString()
  name!: string;

  @ValidateNested()
  @Type(() => Policy)
  policy!: Policy;
}

const pipe = new ContractValidationPipe();

async function answerTo(value: unknown, type: ArgumentMetadata['type']): Promise<unknown> {
  const error = await pipe.transform(value, { type, metatype: Body }).then(
    () => null,
    (reason: unknown) => reason,
  );
  return error instanceof UnprocessableEntityException ? error.getResponse() : error;
}

describe('validation', () => {
  it('gives an instance of the class to whom it concerns', async () => {
    const body = await pipe.transform({ name: 'a', policy: { retries: 1 } }, { type: 'body', metatype: Body });
    expect(body).toBeInstanceOf(Body);
    expect((body as Body).policy).toBeInstanceOf(Policy);
  });

  it('says what is wrong, where in the request it is, and what was sent there', async () => {
    const sent = { name: 7, policy: { retries: 'often' } };
    expect(await answerTo(sent, 'body')).toEqual({
      exception_message: 'Invalid request received.',
      exception_detail: [
        { type: 'isString', loc: ['body', 'name'], msg: 'name must be a string', input: 7 },
        { type: 'isInt', loc: ['body', 'policy', 'retries'], msg: 'retries must be an integer number', input: 'often' },
      ],
      request_body: sent,
    });
  });

  it('has no body to repeat when a query is wrong', async () => {
    expect(await answerTo({ policy: { retries: 1 } }, 'query')).toMatchObject({
      exception_detail: [{ loc: ['query', 'name'] }],
      request_body: null,
    });
  });
});
