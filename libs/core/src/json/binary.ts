import { MalformedEncodingError } from './malformed-encoding-error.js';
import { TAG, type Tagged } from './tags.js';

type NodeBuffer = Uint8Array & { toString(encoding: 'base64'): string };

interface NodeBufferConstructor {
  isBuffer(value: unknown): boolean;
  from(text: string, encoding: 'base64'): NodeBuffer;
  from(bytes: ArrayBufferLike, offset: number, length: number): NodeBuffer;
}

type ViewConstructor = new (buffer: ArrayBufferLike) => ArrayBufferView;

/** `Buffer` exists in Node and not in browsers; nothing else here depends on where it runs. */
const nodeBuffer = (globalThis as unknown as { Buffer?: NodeBufferConstructor }).Buffer;

const VIEWS: ReadonlySet<string> = new Set([
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float16Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
  'DataView',
]);

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const CHUNK = 0x8000; // arguments of one call; engines refuse some hundred thousand

/** Bytes as base64, in the order they have in memory: little-endian on all common platforms. */
export function encodeBinary(value: ArrayBuffer | ArrayBufferView, typeName: string): Tagged {
  const bytes = ArrayBuffer.isView(value)
    ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    : new Uint8Array(value);
  return { [TAG]: 'binary', type: nodeBuffer?.isBuffer(value) ? 'Buffer' : typeName, value: toBase64(bytes) };
}

/** The inverse of `encodeBinary`. A `Buffer` becomes a `Uint8Array` where there is no `Buffer`. */
export function decodeBinary({ type, value }: Tagged): ArrayBufferLike | ArrayBufferView {
  if (typeof type !== 'string' || typeof value !== 'string' || value.length % 4 !== 0 || !BASE64.test(value)) {
    throw new MalformedEncodingError('a binary value without type or base64 text');
  }
  const { buffer } = fromBase64(value);
  if (type === 'ArrayBuffer') return buffer;
  if (type === 'Buffer') return nodeBuffer ? nodeBuffer.from(buffer, 0, buffer.byteLength) : new Uint8Array(buffer);
  const View = VIEWS.has(type)
    ? (globalThis as unknown as Record<string, ViewConstructor | undefined>)[type]
    : undefined;
  if (!View) throw new MalformedEncodingError(`a binary value of type "${type}", which this runtime does not have`);
  return new View(buffer);
}

function toBase64(bytes: Uint8Array): string {
  if (nodeBuffer) return nodeBuffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
  let binary = '';
  for (let at = 0; at < bytes.length; at += CHUNK) binary += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
  return btoa(binary);
}

/** Always in a buffer of its own, which a view of any element size can use. */
function fromBase64(text: string): Uint8Array {
  if (nodeBuffer) return new Uint8Array(nodeBuffer.from(text, 'base64'));
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}
