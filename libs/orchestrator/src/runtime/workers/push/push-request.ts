import { InvalidPushRequestError } from './push-errors.js';

/** How a job is posted. */
export interface PushRequest {
  readonly url: URL;
  /** `null`: nobody is told that a run is cancelled. */
  readonly cancelUrl: URL | null;
  /** With secrets in them. */
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly attempts: number;
  readonly delayMs: number;
}

type Configuration = Readonly<Record<string, unknown>>;

const HEADER_NAME = /^[!#$%&'*+.^`|~\w-]{1,200}$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]{0,8192}$/;
/** They are for whoever sends the request to say. */
const OWN_HEADERS = ['connection', 'content-length', 'content-type', 'host', 'idempotency-key', 'transfer-encoding'];
const MOST_HEADERS = 50;

/**
 * What the configuration of a job says of its request, with all references in it resolved.
 *
 * @throws {InvalidPushRequestError}
 */
export function pushRequestOf({ request }: Configuration): PushRequest {
  if (!isObject(request)) throw new InvalidPushRequestError('job_configuration has no "request"');
  const { url, cancel_url: cancelUrl, headers = {} } = request;
  return {
    url: checkedUrl('url', url),
    cancelUrl:
      cancelUrl === undefined || cancelUrl === null || cancelUrl === '' ? null : checkedUrl('cancel_url', cancelUrl),
    headers: checkedHeaders(headers),
    timeoutMs: 1_000 * numberOf(request, 'timeout_seconds', { least: 0.1, most: 600, usual: 30 }),
    attempts: Math.floor(numberOf(request, 'attempts', { least: 1, most: 20, usual: 5 })),
    delayMs: 1_000 * numberOf(request, 'retry_delay_seconds', { least: 0, most: 60, usual: 1 }),
  };
}

/** For messages and logs: what is behind the path may be a secret. */
export function shownUrl({ origin, pathname }: URL): string {
  return `${origin}${pathname}`;
}

function checkedUrl(name: string, value: unknown): URL {
  const url = typeof value === 'string' ? parsed(value) : null;
  if (!url || !['https:', 'http:'].includes(url.protocol)) {
    throw new InvalidPushRequestError(`"${name}" is no URL that begins with https:// or http://`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new InvalidPushRequestError(`"${name}" has a user or a password in it; put them into a header`);
  }
  return url;
}

function parsed(text: string): URL | null {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}

function checkedHeaders(headers: unknown): Record<string, string> {
  if (!isObject(headers)) throw new InvalidPushRequestError('"headers" is no object');
  const entries = Object.entries(headers).filter(([, value]) => value !== null && value !== undefined);
  if (entries.length > MOST_HEADERS) throw new InvalidPushRequestError(`there are more than ${MOST_HEADERS} headers`);
  for (const [name, value] of entries) {
    if (!HEADER_NAME.test(name)) throw new InvalidPushRequestError('there is a header whose name is none');
    if (OWN_HEADERS.includes(name.toLowerCase()))
      throw new InvalidPushRequestError(`header "${name}" is not to be set`);
    if (typeof value !== 'string' || !HEADER_VALUE.test(value)) {
      throw new InvalidPushRequestError(`header "${name}" has a value that cannot be sent`);
    }
  }
  return Object.fromEntries(entries) as Record<string, string>;
}

function numberOf(
  request: Configuration,
  name: string,
  { least, most, usual }: { readonly least: number; readonly most: number; readonly usual: number },
): number {
  const value = request[name] ?? usual;
  if (typeof value === 'number' && value >= least && value <= most) return value;
  throw new InvalidPushRequestError(`"${name}" is no number from ${least} to ${most}`);
}

function isObject(value: unknown): value is Configuration {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
