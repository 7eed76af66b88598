import {
  decode,
  encode,
  OrchestratorError,
  readEnvelope,
  UnserialisableValueError,
  writeEnvelope,
  type ClassRegistry,
  type PayloadEnvelope,
} from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { isPassing } from '../../persistence/connection/postgres-errors.js';
import { newIdBeside } from '../../persistence/ids.js';
import { BatchedItemsRepository } from '../../records/flow-run-inputs/batched-items.repository.js';
import type { PayloadCodec } from './payload-codec.js';
import {
  PayloadCodecFailedError,
  PayloadCodecUnknownError,
  PayloadNotFoundError,
  PayloadStoreFailedError,
  PayloadStoreUnknownError,
  PayloadTooLargeError,
} from './payload-errors.js';
import { BATCH_STORE, PAYLOAD_SETTINGS, type PayloadSettings } from './payload-options.js';
import type { PayloadContext, PayloadStore } from './payload-store.js';
import { PayloadTable } from './payload-table.js';

/** A payload in both its forms. */
interface SealedPayload {
  /** What is recorded: the text of the value. */
  readonly encoded: string;
  /** How it is kept: what the column holds. */
  readonly stored: string;
}

/** In UTF-8, one unit of a text takes at most so many bytes. */
const MOST_BYTES_PER_UNIT = 3;

/**
 * The way of parameters, results and errors into the rows and back.
 *
 * A value is *encoded* as text, which is what is recorded; the text is *sealed* into what its column holds: itself, or an
 * envelope when codecs changed it or when it is too large for a row and went to a store. *Open* and *decode* lead back.
 *
 * Small payloads without a codec, which is to say nearly all, are sealed and opened at once, without a promise.
 */
@Injectable()
export class Payloads {
  /** The classes whose instances stay instances. */
  readonly classes: ClassRegistry;
  private readonly store: PayloadStore;
  private readonly codecs: ReadonlyMap<string, PayloadCodec>;
  private readonly inlineLimit: number;
  private readonly maxBytes: number;

  constructor(
    @Inject(PAYLOAD_SETTINGS) settings: PayloadSettings,
    private readonly table: PayloadTable,
    private readonly items: BatchedItemsRepository,
  ) {
    this.classes = settings.classes;
    this.store = settings.store ?? table;
    this.codecs = new Map(settings.codecs.map((codec) => [codec.name, codec]));
    this.inlineLimit = settings.inlineLimit;
    this.maxBytes = settings.maxBytes;
  }

  /**
   * @param subject what the value is, for messages: `result of task "load"`.
   * @throws {UnserialisableValueError} when it cannot be recorded, naming the place inside it.
   */
  encode(value: unknown, subject: string): string {
    return encode(value, { subject, classes: this.classes });
  }

  /** @throws {MalformedEncodingError} */
  decode(encoded: string): unknown {
    return decode(encoded, { classes: this.classes });
  }

  /**
   * What the column of an encoded value holds; a promise only when it is large or codecs are configured. Durable when that
   * resolves, so that a row that refers to it may be written.
   *
   * The promise is rejected with {@link PayloadTooLargeError}, {@link PayloadCodecFailedError},
   * {@link PayloadStoreFailedError}, or {@link JournalClosedError} when the process stops while it waits for the database.
   */
  seal(encoded: string, context: PayloadContext): string | Promise<string> {
    return this.codecs.size === 0 && this.fitsInline(encoded) ? encoded : this.sealLarge(encoded, context);
  }

  /**
   * Seals what belongs to no run, and therefore stays in its row, however large it is.
   *
   * @throws {PayloadCodecFailedError}
   */
  async sealInRow(encoded: string): Promise<string> {
    const { codecs, bytes } = await this.applyCodecs(Buffer.from(encoded));
    return inlineForm(encoded, codecs, bytes);
  }

  /**
   * Seals what a run threw. An error is recorded whatever it is: what has no form, is too large, or cannot be kept, gives
   * way to an error with its message.
   *
   * @param message of an error that takes its place.
   */
  sealError(error: unknown, message: string, context: PayloadContext): SealedPayload | Promise<SealedPayload> {
    const encoded = this.encodeError(error, message);
    const stored = this.seal(encoded, context);
    if (typeof stored === 'string') return { encoded, stored };
    return stored.then(
      (text) => ({ encoded, stored: text }),
      (reason: unknown) => this.sealInstead(message, reason),
    );
  }

  /**
   * The encoded value that a column holds; a promise only when it is in an envelope.
   *
   * The promise is rejected with {@link PayloadNotFoundError}, {@link PayloadStoreUnknownError},
   * {@link PayloadStoreFailedError}, {@link PayloadCodecUnknownError} or {@link PayloadCodecFailedError}; with the error
   * itself when the database is away.
   *
   * @throws {MalformedEncodingError} when the envelope cannot be read.
   */
  open(stored: string): string | Promise<string> {
    const envelope = readEnvelope(stored);
    return envelope ? this.openEnvelope(envelope) : stored;
  }

  /** Opens and decodes; a promise of the value where `open` gives one. */
  read(stored: string): unknown {
    const encoded = this.open(stored);
    return typeof encoded === 'string' ? this.decode(encoded) : encoded.then((text) => this.decode(text));
  }

  /** What the column of the parameters of a run holds that is called with a list, which is kept item by item. */
  batchOf(flowRunId: string): string {
    return writeEnvelope({ codecs: [], store: BATCH_STORE, key: flowRunId, size: 0 });
  }

  private fitsInline(encoded: string): boolean {
    if (encoded.length * MOST_BYTES_PER_UNIT <= this.inlineLimit) return true;
    return encoded.length <= this.inlineLimit && Buffer.byteLength(encoded) <= this.inlineLimit;
  }

  private async sealLarge(encoded: string, context: PayloadContext): Promise<string> {
    const size = Buffer.byteLength(encoded);
    if (size > this.maxBytes) throw new PayloadTooLargeError(context.subject, size, this.maxBytes);
    const { codecs, bytes } = await this.applyCodecs(Buffer.from(encoded));
    const sizeInline = codecs.length === 0 ? size : base64Size(bytes.length);
    if (sizeInline <= this.inlineLimit) return inlineForm(encoded, codecs, bytes);

    const { name: store } = this.store;
    const key = newIdBeside(context.runId);
    try {
      await this.store.put(key, bytes, context);
    } catch (error) {
      if (error instanceof OrchestratorError) throw error;
      throw new PayloadStoreFailedError(store, context.subject, 'keep', error);
    }
    return writeEnvelope({ codecs, store, key, size: bytes.length });
  }

  private async applyCodecs(bytes: Uint8Array): Promise<{ codecs: readonly string[]; bytes: Uint8Array }> {
    const applied: string[] = [];
    for (const codec of this.codecs.values()) {
      const before = bytes;
      const after = await attempted(codec, 'encode', () => codec.encode(before));
      if (after === null) continue;
      applied.push(codec.name);
      bytes = after;
    }
    return { codecs: applied, bytes };
  }

  private encodeError(error: unknown, message: string): string {
    try {
      return this.encode(error, 'error');
    } catch (refusal) {
      if (!(refusal instanceof UnserialisableValueError)) throw refusal;
      return this.encode(new Error(message), 'error');
    }
  }

  /** An error with that message, which stays in its row however short those are to be. */
  private async sealInstead(message: string, reason: unknown): Promise<SealedPayload> {
    const cause = new Error(`The error itself could not be kept. ${String(reason)}`);
    const encoded = this.encode(new Error(message, { cause }), 'error');
    try {
      const { codecs, bytes } = await this.applyCodecs(Buffer.from(encoded));
      return { encoded, stored: inlineForm(encoded, codecs, bytes) };
    } catch (failure) {
      // Without its codec nothing of the author's may be kept; why that failed is ours to tell.
      const own = this.encode(new Error(String(failure)), 'error');
      return { encoded: own, stored: own };
    }
  }

  private async openEnvelope(envelope: PayloadEnvelope): Promise<string> {
    if ('store' in envelope && envelope.store === BATCH_STORE) return this.openBatch(envelope.key);
    const codecs = envelope.codecs.map((name) => this.codecNamed(name)).reverse();
    let bytes: Uint8Array = 'data' in envelope ? Buffer.from(envelope.data, 'base64') : await this.fetch(envelope);
    for (const codec of codecs) {
      const before = bytes;
      bytes = await attempted(codec, 'decode', () => codec.decode(before));
    }
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
  }

  /** The items of a batch are sealed one by one; together they are what its flow is called with. */
  private async openBatch(flowRunId: string): Promise<string> {
    const stored = await this.items.list(flowRunId);
    if (stored.length === 0) throw new PayloadNotFoundError(BATCH_STORE, flowRunId);
    const items = await Promise.all(stored.map((text) => this.read(text)));
    return this.encode({ 0: items }, `parameters of flow run ${flowRunId}`);
  }

  private codecNamed(name: string): PayloadCodec {
    const codec = this.codecs.get(name);
    if (!codec) throw new PayloadCodecUnknownError(name, [...this.codecs.keys()]);
    return codec;
  }

  private async fetch({ store: name, key, size }: Extract<PayloadEnvelope, { store: string }>): Promise<Uint8Array> {
    const store = [this.table, this.store].find((one) => one.name === name);
    if (!store) throw new PayloadStoreUnknownError(name, this.store.name);
    const bytes = await this.get(store, key);
    if (!bytes) throw new PayloadNotFoundError(name, key);
    if (bytes.length !== size) {
      const difference = new Error(`it has ${bytes.length} bytes and should have ${size}`);
      throw new PayloadStoreFailedError(name, `payload ${key}`, 'read', difference);
    }
    return bytes;
  }

  private async get(store: PayloadStore, key: string): Promise<Uint8Array | null> {
    try {
      return await store.get(key);
    } catch (error) {
      throw isPassing(error) ? error : new PayloadStoreFailedError(store.name, `payload ${key}`, 'read', error);
    }
  }
}

/** A payload that stays in its row: as it is, unless a codec changed it. */
function inlineForm(encoded: string, codecs: readonly string[], bytes: Uint8Array): string {
  if (codecs.length === 0) return encoded;
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
  return writeEnvelope({ codecs, data });
}

function base64Size(bytes: number): number {
  return Math.ceil(bytes / 3) * 4;
}

async function attempted<T>(
  { name }: PayloadCodec,
  operation: 'encode' | 'decode',
  work: () => T | Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new PayloadCodecFailedError(name, operation, error);
  }
}
