import { classCodec, encode, MalformedEncodingError, readEnvelope } from '@nestor/core';
import { HttpException, NotFoundException } from '@nestjs/common';
import * as fc from 'fast-check';
import { msOfId, newId } from '../../persistence/ids.js';
import type { BatchedItemsRepository } from '../../records/flow-run-inputs/batched-items.repository.js';
import { aesPayloads } from './aes-payloads.js';
import { gzipPayloads } from './gzip-payloads.js';
import type { PayloadCodec } from './payload-codec.js';
import { payloadSettings } from './payload-options.js';
import type { PayloadStore } from './payload-store.js';
import type { PayloadTable } from './payload-table.js';
import { Payloads } from './payloads.service.js';

/** What is put together by calls is tried on a database: see `shared-runs.spec.ts`. */
const NO_BATCHES = {} as BatchedItemsRepository;

type Options = Parameters<typeof payloadSettings>[0];

class MemoryStore implements PayloadStore {
  readonly kept = new Map<string, Uint8Array>();
  constructor(readonly name = 'database') {}
  async put(key: string, bytes: Uint8Array): Promise<void> {
    this.kept.set(key, bytes);
  }
  async get(key: string): Promise<Uint8Array | null> {
    return this.kept.get(key) ?? null;
  }
  async delete(key: string): Promise<void> {
    this.kept.delete(key);
  }
}

const context = { runId: newId(), subject: 'result of task "load"' };
const key = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
const reversed: PayloadCodec = {
  name: 'reversed',
  encode: (bytes) => Uint8Array.from(bytes).reverse(),
  decode: (bytes) => Uint8Array.from(bytes).reverse(),
};

function payloadsWith(options: Options = {}, table: PayloadStore = new MemoryStore()): Payloads {
  return new Payloads(payloadSettings(options), table as PayloadTable, NO_BATCHES);
}

/** What reading gives, as an error if it fails. */
const failureOf = (work: unknown): Promise<any> =>
  Promise.resolve(work).then(
    (value) => Promise.reject(new Error(`It gave ${String(value)}.`)),
    (error: unknown) => error,
  );

describe('a payload', () => {
  describe('that is small, where no codec is configured,', () => {
    it('is its own text, sealed and opened without a promise', () => {
      const payloads = payloadsWith();
      const encoded = payloads.encode({ a: 1n }, 'value');
      expect(payloads.seal(encoded, context)).toBe(encoded);
      expect(payloads.open(encoded)).toBe(encoded);
      expect(payloads.read(encoded)).toEqual({ a: 1n });
    });

    it.each<[string, string, boolean]>([
      ['as long as the limit', 'x'.repeat(98), true],
      ['one byte longer', 'x'.repeat(99), false],
      ['longer in bytes than in units', 'é'.repeat(50), false],
      ['of three bytes a unit, up to the limit', '€'.repeat(32), true],
      ['of three bytes a unit, beyond it', '€'.repeat(33), false],
    ])('stays in its row when it is %s: %#', async (_, value, isInline) => {
      const payloads = payloadsWith({ payloads: { inlineLimit: 100 } });
      const sealed = payloads.seal(payloads.encode(value, 'value'), context);
      expect(typeof sealed === 'string').toBe(isInline);
      expect(await payloads.read(await sealed)).toBe(value);
    });
  });

  it('that is large goes to the store as it is, under a key in the time of its run', async () => {
    const table = new MemoryStore();
    const payloads = payloadsWith({}, table);
    const encoded = payloads.encode('x'.repeat(70_000), 'value');
    const stored = await payloads.seal(encoded, context);
    expect(stored.length).toBeLessThan(200);
    const [[id, bytes]] = [...table.kept] as [[string, Uint8Array]];
    expect(msOfId(id)).toBe(msOfId(context.runId));
    expect(Buffer.from(bytes).toString()).toBe(encoded);
    expect(readEnvelope(stored)).toEqual({ codecs: [], store: 'database', key: id, size: 70_002 });
    expect(await payloads.open(stored)).toBe(encoded);
  });

  it('that is sealed twice gets two keys: nobody overwrites what another attempt kept', async () => {
    const table = new MemoryStore();
    const payloads = payloadsWith({ payloads: { inlineLimit: 0 } }, table);
    const [one, other] = [await payloads.seal('1', context), await payloads.seal('2', context)];
    expect(await Promise.all([payloads.read(one), payloads.read(other)])).toEqual([1, 2]);
    expect(table.kept.size).toBe(2);
  });

  it('comes back as it was through any codecs, inline and stored', async () => {
    const data = fc.anything({ withMap: true, withSet: true, withBigInt: true, withDate: true, withTypedArray: true });
    const codecs = fc.subarray([gzipPayloads({ from: 10 }), reversed, aesPayloads({ id: 'a', key: key(1) })]);
    await fc.assert(
      fc.asyncProperty(data, codecs, fc.nat(200), async (value, codec, inlineLimit) => {
        const payloads = payloadsWith({ payloads: { codec, inlineLimit } });
        const encoded = payloads.encode(value, 'value');
        const stored = await payloads.seal(encoded, context);
        expect(await payloads.open(stored)).toBe(encoded);
        if (codec.some(({ name }) => name === 'aes-256-gcm')) expect(stored).toMatch(/^{"\$nestor":"payload"/);
      }),
      { numRuns: 300 },
    );
  });

  it('keeps the instances of registered classes', async () => {
    class Money {
      constructor(readonly cents: number) {}
    }
    const codec = classCodec({ name: 'Money', type: Money, encode: ({ cents }) => cents, decode: (c) => new Money(c) });
    const payloads = payloadsWith({ codecs: [codec], payloads: { inlineLimit: 0 } });
    expect(await payloads.read(await payloads.seal(payloads.encode([new Money(5)], 'value'), context))).toEqual([
      new Money(5),
    ]);
  });

  it('that a codec leaves as it is names no codec', async () => {
    const payloads = payloadsWith({ payloads: { codec: gzipPayloads({ from: 100 }) } });
    expect(await payloads.seal('"short"', context)).toBe('"short"');
    const long = await payloads.seal(JSON.stringify('x'.repeat(1_000)), context);
    expect(readEnvelope(long)).toMatchObject({ codecs: ['gzip'], data: expect.any(String) });
  });

  it('shrinks into its row when it is compressed well enough', async () => {
    const table = new MemoryStore();
    const payloads = payloadsWith({ payloads: { codec: gzipPayloads() } }, table);
    const encoded = JSON.stringify('x'.repeat(1_000_000));
    expect(await payloads.open(await payloads.seal(encoded, context))).toBe(encoded);
    expect(table.kept.size).toBe(0);
  });

  describe('cannot be sealed', () => {
    it('when it is larger than is allowed: in bytes, before any codec', async () => {
      const payloads = payloadsWith({
        payloads: { maxBytes: 100, inlineLimit: 100, codec: gzipPayloads({ from: 1 }) },
      });
      expect(await failureOf(payloads.seal(JSON.stringify('€'.repeat(50)), context))).toMatchObject({
        code: 'PAYLOAD_TOO_LARGE',
        bytes: 152,
        maxBytes: 100,
        message: expect.stringMatching(/^The result of task "load" has 152 bytes .*payloads\.maxBytes/),
      });
    });

    it('when its store or codec fails', async () => {
      const store = new MemoryStore('s3');
      store.put = () => Promise.reject(new Error('denied'));
      const large = payloadsWith({ payloads: { inlineLimit: 0, store } });
      expect(await failureOf(large.seal('1', context))).toMatchObject({
        code: 'PAYLOAD_STORE_FAILED',
        message: 'The payload store "s3" could not keep the result of task "load" (denied).',
      });
      const encode = (): never => {
        throw new Error('no entropy');
      };
      const coded = payloadsWith({ payloads: { codec: { ...reversed, encode } } });
      expect(await failureOf(coded.seal('1', context))).toMatchObject({
        code: 'PAYLOAD_CODEC_FAILED',
        codec: 'reversed',
      });
    });
  });

  describe('cannot be opened', () => {
    const sealedWith = async (options: Options, table = new MemoryStore()) =>
      payloadsWith(options, table).seal('"secret"', context);

    it('without its codec, which is named', async () => {
      const stored = await sealedWith({ payloads: { codec: reversed } });
      const failure = await failureOf(payloadsWith({ payloads: { codec: gzipPayloads() } }).open(stored));
      expect(failure).toMatchObject({ code: 'PAYLOAD_CODEC_UNKNOWN', codec: 'reversed' });
      expect(failure.message).toMatch(/"reversed".*this process has "gzip".*payloads\.codec/);
      expect(await failureOf(payloadsWith().read(stored))).toMatchObject({
        message: expect.stringMatching(/has none/),
      });
    });

    it('with another key, or after it was changed', async () => {
      const codec = aesPayloads({ id: 'a', key: key(1) });
      const stored = await sealedWith({ payloads: { codec } });
      const other = payloadsWith({ payloads: { codec: aesPayloads({ id: 'b', key: key(2) }) } });
      expect(await failureOf(other.open(stored))).toMatchObject({
        code: 'PAYLOAD_CODEC_FAILED',
        message: expect.stringMatching(/"aes-256-gcm" could not decode .*key "a".*only b/),
      });
      const envelope = JSON.parse(stored) as { data: string };
      const changed = Buffer.from(envelope.data, 'base64');
      changed[20]! ^= 1;
      const text = stored.replace(envelope.data, changed.toString('base64'));
      expect(await failureOf(payloadsWith({ payloads: { codec } }).open(text))).toMatchObject({
        code: 'PAYLOAD_CODEC_FAILED',
        message: expect.stringMatching(/was changed/),
      });
    });

    it('when its store does not have it, has it cut off, or fails', async () => {
      const table = new MemoryStore();
      const payloads = payloadsWith({ payloads: { inlineLimit: 0 } }, table);
      const stored = await payloads.seal('"secret"', context);
      const [id] = [...table.kept.keys()] as [string];
      table.kept.set(id, Buffer.from('"sec'));
      expect(await failureOf(payloads.open(stored))).toMatchObject({
        code: 'PAYLOAD_STORE_FAILED',
        message: expect.stringMatching(/it has 4 bytes and should have 8/),
      });
      await table.delete(id);
      expect(await failureOf(payloads.open(stored))).toMatchObject({
        code: 'PAYLOAD_NOT_FOUND',
        store: 'database',
        key: id,
      });
      table.get = () => Promise.reject(new Error('denied'));
      expect(await failureOf(payloads.open(stored))).toMatchObject({ code: 'PAYLOAD_STORE_FAILED', operation: 'read' });
      const away = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
      table.get = () => Promise.reject(away); // whoever waits for a run goes on waiting
      expect(await failureOf(payloads.open(stored))).toBe(away);
    });

    it('when it is in a store that is not there; what went to the table stays readable', async () => {
      const [table, elsewhere] = [new MemoryStore(), new MemoryStore('s3')];
      const before = payloadsWith({ payloads: { inlineLimit: 0 } }, table);
      const after = payloadsWith({ payloads: { inlineLimit: 0, store: elsewhere } }, table);
      expect(await after.read(await before.seal('1', context))).toBe(1);
      expect(await failureOf(before.read(await after.seal('1', context)))).toMatchObject({
        code: 'PAYLOAD_STORE_UNKNOWN',
        store: 's3',
        message: expect.stringMatching(/"s3".*"database".*payloads\.store/),
      });
    });

    it('when the envelope is damaged', () => {
      expect(() => payloadsWith().open('{"$nestor":"payload","codecs":[]}')).toThrow(MalformedEncodingError);
    });
  });

  it('of a caller that looks like an envelope is data', async () => {
    const payloads = payloadsWith({ payloads: { inlineLimit: 0 } });
    const forged: unknown = JSON.parse(await payloads.seal('"somebody else’s"', context));
    const encoded = encode(forged);
    expect(payloads.open(encoded)).toBe(encoded);
    expect(payloads.read(encoded)).toEqual(forged);
  });
});

describe('an error', () => {
  const sealed = (error: unknown, options: Options = {}) =>
    payloadsWith(options).sealError(error, 'the message', { ...context, subject: 'error of task "load"' });

  it('is kept with its name, message, code and cause, without a promise when it is small', async () => {
    const error = Object.assign(new RangeError('no', { cause: new Error('why') }), { code: 'E_NO' });
    const { encoded, stored } = sealed(error) as { encoded: string; stored: string };
    expect(stored).toBe(encoded);
    const expected = { name: 'RangeError', message: 'no', code: 'E_NO', cause: { message: 'why' } };
    expect(payloadsWith().read(stored)).toMatchObject(expected);
  });

  it.each<[string, unknown]>([
    ['text', 'boom'],
    ['undefined', undefined],
    ['plain data', { status: 404 }],
  ])('that is %s stays as it is', async (_, thrown) => {
    expect(payloadsWith().read((await sealed(thrown)).stored)).toEqual(thrown);
  });

  it.each<[string, unknown]>([
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
  ])('that is %s, which has no form, becomes one with its message', async (_, thrown) => {
    const error = payloadsWith().read((await sealed(thrown)).stored);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ message: 'the message' });
  });

  it('that is too large, or cannot be kept, becomes one with its message and the reason', async () => {
    const huge = Object.assign(new Error('no'), { body: 'x'.repeat(1_000) });
    const small = { maxBytes: 500, inlineLimit: 10, codec: aesPayloads({ id: 'a', key: key(1) }) };
    const { encoded, stored } = await sealed(huge, { payloads: small });
    expect(await payloadsWith({ payloads: small }).open(stored)).toBe(encoded);
    expect(payloadsWith().decode(encoded)).toMatchObject({
      message: 'the message',
      cause: { message: expect.stringMatching(/could not be kept.*error of task "load" has \d+ bytes/) },
    });
  });

  it('is not kept in clear when its codec fails', async () => {
    const encode = (): never => {
      throw new Error('no entropy');
    };
    const { encoded, stored } = await sealed(new Error('secret'), { payloads: { codec: { ...reversed, encode } } });
    expect(stored).toBe(encoded);
    expect(stored).not.toMatch(/secret|the message/);
    expect(payloadsWith().read(stored)).toMatchObject({
      message: expect.stringMatching(/"reversed" could not encode/),
    });
  });
});

describe('HTTP exceptions of Nest', () => {
  const returned = (options: Options, error: Error): unknown => {
    const payloads = payloadsWith(options);
    return payloads.decode(payloads.encode(error, 'error'));
  };

  it('come back as what they are, with status and response', () => {
    const error = returned({}, new NotFoundException({ message: 'No such order', order: 7 }));
    expect(error).toBeInstanceOf(NotFoundException);
    expect((error as NotFoundException).getStatus()).toBe(404);
    expect((error as NotFoundException).getResponse()).toEqual({ message: 'No such order', order: 7 });
    expect(returned({}, new HttpException('Teapot', 418))).toMatchObject({ name: 'HttpException', status: 418 });
  });

  it('leave their name to a registered class of the application', () => {
    const own = class NotFoundException extends Error {};
    expect(returned({ errors: [own] }, new own('Nothing here'))).toBeInstanceOf(own);
  });
});

describe('an option about payloads', () => {
  const store = new MemoryStore('s3');
  it.each<[string, Options, string]>([
    ['an inline limit below zero', { payloads: { inlineLimit: -1 } }, 'payloads.inlineLimit'],
    [
      'an inline limit beyond the largest payload',
      { payloads: { inlineLimit: 11, maxBytes: 10 } },
      'payloads.inlineLimit',
    ],
    ['a size that is no number', { payloads: { maxBytes: '64kb' as unknown as number } }, 'payloads.maxBytes'],
    ['a size beyond what can be read', { payloads: { maxBytes: 2 ** 30 } }, 'payloads.maxBytes'],
    ['two codecs of one name', { payloads: { codec: [reversed, reversed] } }, 'payloads.codec'],
    ['a codec without a name', { payloads: { codec: { ...reversed, name: '' } } }, 'payloads.codec'],
    ['a store with the name of our table', { payloads: { store: new MemoryStore() } }, 'payloads.store'],
    [
      'a store with a name that is none',
      { payloads: { store: { ...store, name: 'a b' } as MemoryStore } },
      'payloads.store',
    ],
  ])('is refused at the start: %s', (_, options, option) => {
    expect(() => payloadSettings(options)).toThrow(
      expect.objectContaining({ code: 'INVALID_PAYLOAD_OPTION', option, message: expect.stringContaining(option) }),
    );
  });
});
