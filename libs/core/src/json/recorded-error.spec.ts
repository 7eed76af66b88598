import { readFile } from 'node:fs/promises';
import { OrchestratorError } from '../errors/orchestrator-error.js';
import { decode } from './decode.js';
import { encode } from './encode.js';
import { RecordedError } from './recorded-error.js';

function recorded(error: unknown): Error & Record<string, unknown> {
  return decode(encode(error)) as Error & Record<string, unknown>;
}

class HttpError extends Error {
  constructor(
    message: string,
    readonly status: number,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

class FlowMissingError extends OrchestratorError {
  readonly code = 'FLOW_MISSING';
}

describe('a recorded error', () => {
  it.each([Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError])(
    'of the class %p comes back as that class',
    (type) => {
      const error = new type('wrong');
      const back = recorded(error);
      expect(Object.getPrototypeOf(back)).toBe(type.prototype);
      expect([back.name, back.message, back.stack]).toEqual([error.name, 'wrong', error.stack]);
      expect('cause' in back).toBe(false);
      expect(Object.keys(back)).toEqual([]);
    },
  );

  it('of another class comes back as RecordedError with the name of its class, its stack and its data', () => {
    const error = new HttpError('gone', 410);
    const back = recorded(error);
    expect(back).toBeInstanceOf(RecordedError);
    expect(back).toMatchObject({ name: 'HttpError', className: 'HttpError', message: 'gone', status: 410 });
    expect(back.stack).toBe(error.stack);
  });

  it('keeps name and code', () => {
    const back = recorded(new FlowMissingError('no flow'));
    expect(back).toMatchObject({ name: 'FlowMissingError', code: 'FLOW_MISSING', message: 'no flow' });
    const renamed = recorded(Object.assign(new Error('late'), { name: 'TimeoutError', code: 7 }));
    expect(renamed).toMatchObject({ name: 'TimeoutError', code: 7 });
    expect(Object.getPrototypeOf(renamed)).toBe(Error.prototype);
  });

  it('of the system keeps what the system said', async () => {
    const error: unknown = await readFile('/does/not/exist').catch((reason: unknown) => reason);
    const back = recorded(error);
    expect(back).toBeInstanceOf(Error);
    expect(back).toMatchObject({ code: 'ENOENT', syscall: 'open', path: '/does/not/exist' });
  });

  it('of the platform keeps its name and numeric code', () => {
    expect(recorded(new DOMException('stop', 'AbortError'))).toMatchObject({
      name: 'AbortError',
      code: 20,
      message: 'stop',
    });
  });

  it('keeps its causes, whatever they are', () => {
    const back = recorded(new HttpError('a', 500, { cause: new TypeError('b', { cause: { retryAt: new Date(0) } }) }));
    expect(back.cause).toBeInstanceOf(TypeError);
    expect((back.cause as Error).cause).toEqual({ retryAt: new Date(0) });
    expect(recorded(new Error('c', { cause: undefined }))).toHaveProperty('cause', undefined);
  });

  it('keeps the errors of an AggregateError', () => {
    const back = recorded(new AggregateError([new RangeError('one'), 'two'], 'both'));
    expect(back).toBeInstanceOf(AggregateError);
    expect(back.message).toBe('both');
    expect(back.errors).toEqual([new RangeError('one'), 'two']);
  });

  it('is never lost for what hangs on it', () => {
    const request = { onEnd: () => 1 };
    const error = Object.assign(new HttpError('refused', 502), { request, attempts: 3, $nestor: 1 });
    error.cause = error;
    Object.assign(error, { errors: [new Error('inner'), () => 1] });
    const text = encode({ error });
    expect(text).toContain('"omitted":["request"]');
    const back = (decode(text) as { error: Error & Record<string, unknown> }).error;
    expect(back).toMatchObject({ message: 'refused', status: 502, attempts: 3, $nestor: 1 });
    expect('request' in back).toBe(false);
    expect(back.cause).toMatchObject({ code: 'UNSERIALISABLE_VALUE', path: '$.error.cause' });
    expect(back.errors).toMatchObject([{ message: 'inner' }, { path: '$.error.errors[1]' }]);
  });

  it('survives getters that throw, a chain of causes without end, and odd messages', () => {
    const hostile = Object.defineProperties(new Error('kept'), {
      stack: { get: () => { throw new Error('no stack'); } }, // prettier-ignore
      detail: { enumerable: true, get: () => { throw new Error('no detail'); } }, // prettier-ignore
    });
    expect(recorded(hostile)).toMatchObject({ message: 'kept', stack: 'Error: kept' });
    expect(encode(hostile)).toContain('"omitted":["detail"]');

    let chain = new Error('first');
    for (let i = 0; i < 3_000; i++) chain = new Error(`${i}`, { cause: chain });
    expect(recorded(chain).message).toBe('2999');

    expect(recorded(Object.assign(new Error(), { message: { a: 1 } })).message).toBe('');
  });

  it('stays what it is when it is recorded again', () => {
    const errors = [
      new HttpError('a', 1),
      new FlowMissingError('b'),
      new AggregateError([new URIError('c')]),
      new Error('d'),
    ];
    for (const error of errors) expect(encode(recorded(error))).toBe(encode(error));
    class Plain extends Error {
      override name = 'Error';
    }
    expect(encode(recorded(new Plain('p')))).toMatch(/"class":"Plain","name":"Error"/);
    expect(encode(recorded(recorded(new Plain('p'))))).toMatch(/"class":"Plain","name":"Error"/);
  });
});
