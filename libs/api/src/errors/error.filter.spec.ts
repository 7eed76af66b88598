import {
  BadRequestException,
  Logger,
  NotFoundException,
  ServiceUnavailableException,
  UnauthorizedException,
  UnprocessableEntityException,
  type ArgumentsHost,
} from '@nestjs/common';
import type { HttpAdapterHost } from '@nestjs/core';
import { OrchestratorError } from '@nestor/core';
import { ErrorFilter } from './error.filter.js';

class CodedError extends OrchestratorError {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

interface Reply {
  status?: number;
  body?: unknown;
  readonly headers: Record<string, string>;
}

/** What a client gets, and what the log gets, when a controller throws `error`. */
function answerTo(error: unknown): Reply & { readonly logged: unknown[][] } {
  const reply: Reply = { headers: {} };
  const httpAdapter = {
    setHeader: (_: unknown, name: string, value: string) => (reply.headers[name] = value),
    reply: (_: unknown, body: unknown, status: number) => Object.assign(reply, { body, status }),
  };
  const logged = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
  try {
    const host = { switchToHttp: () => ({ getResponse: () => ({}) }) } as unknown as ArgumentsHost;
    new ErrorFilter({ httpAdapter } as unknown as HttpAdapterHost).catch(error, host);
    return { ...reply, logged: [...logged.mock.calls] };
  } finally {
    logged.mockRestore();
  }
}

describe('the answer to an error', () => {
  it.each([
    ['that is restarted', Object.assign(new Error('terminating connection'), { code: '57P01' })],
    ['that cannot be reached', Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })],
    ['that hung up', new Error('Connection terminated unexpectedly')],
  ])('of a database %s invites to try again', (_, error) => {
    expect(answerTo(error)).toMatchObject({ status: 503, body: { exception_message: 'Service Unavailable' } });
  });

  it.each<[string, unknown, number, unknown]>([
    ['a path nobody serves', new NotFoundException('Cannot GET /x'), 404, { detail: 'Not Found' }],
    ['a bad request', new BadRequestException('no JSON'), 400, { detail: 'no JSON' }],
    ['a database that is away', new ServiceUnavailableException('It is away.'), 503, { detail: 'It is away.' }],
    [
      'input that is not valid',
      new UnprocessableEntityException({ exception_message: 'Invalid request received.', exception_detail: [] }),
      422,
      { exception_message: 'Invalid request received.', exception_detail: [] },
    ],
    [
      'a run nobody knows',
      new CodedError('FLOW_RUN_NOT_FOUND', 'There is no run 7.'),
      404,
      { detail: 'There is no run 7.', code: 'FLOW_RUN_NOT_FOUND' },
    ],
    [
      'a query that cannot be meant',
      new CodedError('INVALID_QUERY', 'The limit is 0.'),
      422,
      { detail: 'The limit is 0.', code: 'INVALID_QUERY' },
    ],
  ])('%s is part of the contract, and no matter for the log', (_, error, status, body) => {
    expect(answerTo(error)).toMatchObject({ status, body, logged: [] });
  });

  it('a shutdown is said to be one, so that the client asks elsewhere', () => {
    expect(answerTo(new CodedError('ENGINE_STOPPING', 'The application shuts down.'))).toMatchObject({
      status: 503,
      body: { detail: 'The application shuts down.', code: 'ENGINE_STOPPING' },
    });
  });

  it.each<[string, unknown]>([
    ['an error', new Error('password=s3cret at 10.0.0.1')],
    ['an error of ours that no request can cause', new CodedError('SCHEMA_TOO_NEW', 'password=s3cret')],
    ['something that is no error', 'password=s3cret'],
    ['nothing', undefined],
  ])('%s is answered without its details, which are in the log', (_, error) => {
    const { status, body, logged } = answerTo(error);
    expect(status).toBe(500);
    expect(body).toMatchObject({ detail: 'Internal Server Error' });
    expect(JSON.stringify(body)).not.toContain('s3cret');
    expect(logged).toEqual([[String(error), error instanceof Error ? error.stack : undefined]]);
  });

  it('asks for a password in the way browsers and clients understand', () => {
    expect(answerTo(new UnauthorizedException('Unauthorized'))).toMatchObject({
      status: 401,
      body: { detail: 'Unauthorized' },
      headers: { 'WWW-Authenticate': 'Basic realm="nestor"' },
    });
  });
});
