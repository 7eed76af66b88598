import { SECRET_MASK } from '../../secrets/secret.js';
import { InvalidPushRequestError, PushFailedError } from './push-errors.js';
import { shownUrl, type PushRequest } from './push-request.js';

/** What is posted, and by what it is known when it is posted again. */
interface Post {
  readonly to: URL;
  readonly document: object;
  readonly key: string;
  /** What is not to be repeated of it, besides the headers. */
  readonly secrets: readonly string[];
  readonly signal: AbortSignal;
}

const MOST_BYTES_SENT = 1024 * 1024;
const MOST_BYTES_READ = 64 * 1024;
const MOST_REDIRECTS = 3;
const MOST_SHOWN = 300;
/** What may be different the next time, besides what goes wrong on the other side (from 500 on). */
const PASSING_STATUSES = [408, 425, 429];
const LONGEST_PAUSE_MS = 60_000;

/**
 * Posts a document, once. Redirects are followed where they keep the method and lead to the same host, so that headers with
 * secrets go nowhere else.
 *
 * @returns what was answered, where that is a JSON object; else `{}`.
 * @throws {PushFailedError} when it was not answered with a status of success.
 * @throws {InvalidPushRequestError} when the document is larger than 1 MiB.
 */
export async function post(
  request: PushRequest,
  { to, document, key, secrets, signal }: Post,
): Promise<Record<string, unknown>> {
  const body = JSON.stringify(document);
  if (Buffer.byteLength(body) > MOST_BYTES_SENT) {
    throw new InvalidPushRequestError(`its job has more than ${MOST_BYTES_SENT} bytes as JSON`);
  }
  const headers = { ...request.headers, 'content-type': 'application/json', 'idempotency-key': key };
  const within = AbortSignal.any([signal, AbortSignal.timeout(request.timeoutMs)]);
  const fail = (problem: string, isPassing: boolean, retryAfterMs: number | null = null): never => {
    throw new PushFailedError(shownUrl(to), problem, isPassing, retryAfterMs);
  };
  let url = to;
  for (let redirects = 0; ; redirects += 1) {
    let response: Response;
    let text: string;
    try {
      response = await fetch(url, { method: 'POST', redirect: 'manual', headers, body, signal: within });
      text = await textOf(response);
    } catch (error) {
      return fail(within.aborted && !signal.aborted ? 'was not answered in time' : `failed: ${causeOf(error)}`, true);
    }
    const location = response.headers.get('location');
    if (response.status >= 300 && response.status < 400 && location !== null) {
      const next = onSameHost(location, url);
      if (!next) return fail('was redirected to another host, which is not followed', false);
      if (response.status !== 307 && response.status !== 308) {
        return fail(`was redirected with ${response.status}, which does not say to post again`, false);
      }
      if (redirects >= MOST_REDIRECTS) return fail(`was redirected more than ${MOST_REDIRECTS} times`, false);
      url = next;
      continue;
    }
    if (response.ok) return objectOf(text);
    const isPassing = response.status >= 500 || PASSING_STATUSES.includes(response.status);
    return fail(
      `was answered with ${response.status}${shownText(text, [...secrets, ...Object.values(request.headers)])}`,
      isPassing,
      retryAfterMs(response.headers.get('retry-after')),
    );
  }
}

/** Where a redirect leads; `null` when that is another host, or nowhere. */
function onSameHost(location: string, url: URL): URL | null {
  const next = URL.canParse(location, url.href) ? new URL(location, url) : null;
  return next?.origin === url.origin ? next : null;
}

/** The beginning of what was answered. */
async function textOf({ body }: Response): Promise<string> {
  if (!body) return '';
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > MOST_BYTES_READ) break; // which cancels the rest
  }
  return Buffer.concat(chunks).subarray(0, MOST_BYTES_READ).toString();
}

function objectOf(text: string): Record<string, unknown> {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : {};
  } catch {
    return {};
  }
}

/** Whoever answers may repeat what it was sent. */
function shownText(text: string, secrets: readonly string[]): string {
  let shown = text.replaceAll(/\s+/g, ' ').trim();
  for (const secret of secrets) {
    for (const part of [secret, ...secret.split(/\s+/)])
      if (part.length >= 4) shown = shown.replaceAll(part, SECRET_MASK);
  }
  if (shown === '') return '';
  return `: ${shown.length > MOST_SHOWN ? `${shown.slice(0, MOST_SHOWN)}…` : shown}`;
}

/** What went wrong below HTTP; its message may quote a header. */
function causeOf(error: unknown): string {
  const { cause, name = 'it broke off' } = error as { cause?: { code?: unknown }; name?: string };
  return typeof cause?.code === 'string' ? cause.code : name;
}

/** Of a number of seconds; a date is not believed, as clocks differ. */
function retryAfterMs(text: string | null): number | null {
  return text !== null && /^\d{1,6}$/.test(text) ? Math.min(Number(text) * 1_000, LONGEST_PAUSE_MS) : null;
}
