import { instantOfMs, type Instant } from '@nestor/core';
import { isId } from '../../persistence/ids.js';
import { RESOURCE_ID } from '../../records/events/events.repository.js';
import { InvalidEventError } from './event-errors.js';

/** Something that an event is about. */
export interface EventResource {
  /** Dots between the parts, by convention: `shop.order.4711`. */
  readonly id: string;
  /** For people. */
  readonly name?: string;
  /** Further labels, such as `shop.customer`. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** Something else that an event has to do with. */
export interface RelatedEventResource extends EventResource {
  /** In which way: `customer`, `shipment`, … */
  readonly role: string;
}

/** An event as somebody emits it. */
export interface EmittedEvent {
  /** What happened, in the past tense: `shop.order.paid`. At most 1,024 characters. */
  readonly event: string;
  /** What it happened to. */
  readonly resource: EventResource;
  /** At most 100, those of the run among them. Default: none. */
  readonly related?: readonly RelatedEventResource[];
  /** Data that JSON has words for. Default: none. */
  readonly payload?: Readonly<Record<string, unknown>>;
  /** When it happened. Default: now, by the clock of the database. */
  readonly occurred?: Date | Instant;
  /** A UUID by which a second emission of the same event is recognised, and ignored. Default: one of its own. */
  readonly id?: string;
  /** The id of the event that led to this one. Default: none. */
  readonly follows?: string;
}

/** The labels of a resource, as they are stored and served. */
export type Labels = Readonly<Record<string, string>> & { readonly [RESOURCE_ID]: string };

const ROLE = 'prefect.resource.role';
const NAME = 'prefect.resource.name';

// The limits of the HTTP contract, whose clients read these events.
const MAX_NAME = 1_024;
const MAX_LABELS = 500;
const MAX_RELATED = 100;
const MAX_BYTES = 1_500_000;

/** The labels of a resource. */
export function labelsOf({ id, name, labels }: EventResource, role?: string): Labels {
  return {
    ...labels,
    [RESOURCE_ID]: id,
    ...(role !== undefined && { [ROLE]: role }),
    ...(name !== undefined && { [NAME]: name }),
  };
}

/** The related resources of an event and those of its run, each once, and not what the event is about. */
export function allRelated(resource: Labels, given: readonly Labels[], ofRun: readonly Labels[]): Labels[] {
  const known = new Set([resource[RESOURCE_ID], ...given.map((labels) => labels[RESOURCE_ID])]);
  return [...given, ...ofRun.filter((labels) => !known.has(labels[RESOURCE_ID]))];
}

/**
 * Gives the bytes that it takes as JSON.
 *
 * @throws {InvalidEventError} when a part of it is missing, of another kind, too long or too much.
 */
export function checkEvent(emitted: EmittedEvent, resource: Labels, related: readonly Labels[]): number {
  const { event, id, follows, payload } = emitted;
  const problem =
    (typeof event !== 'string' || event.trim() === '' ? 'it has no name' : null) ??
    (event.length > MAX_NAME ? `its name has ${event.length} characters, more than ${MAX_NAME}` : null) ??
    problemOfLabels(resource, 'its resource') ??
    (related.length > MAX_RELATED ? `it has ${related.length} related resources, more than ${MAX_RELATED}` : null) ??
    related.map((labels, index) => problemOfLabels(labels, `related resource ${index + 1}`)).find(Boolean) ??
    (related.some((labels) => !labels[ROLE]) ? 'a related resource has no role' : null) ??
    (id !== undefined && !isId(id) ? `its id ${JSON.stringify(id)} is no UUID` : null) ??
    (follows !== undefined && !isId(follows) ? `what it follows, ${JSON.stringify(follows)}, is no UUID` : null) ??
    (payload !== undefined && (typeof payload !== 'object' || payload === null || Array.isArray(payload))
      ? 'its payload is no object'
      : null);
  if (problem) throw new InvalidEventError(String(event), problem);
  return checkedSize(event, { event, resource, related, payload });
}

/** When it happened. @throws {InvalidEventError} when that is no time. */
export function occurredAt({ event, occurred }: EmittedEvent): Instant | null {
  if (occurred === undefined) return null;
  const instant = occurred instanceof Date ? instantOfMs(occurred.getTime()) : occurred;
  if (!Number.isSafeInteger(instant)) throw new InvalidEventError(event, 'the time at which it occurred is none');
  return instant;
}

function problemOfLabels(labels: Labels, what: string): string | null {
  const entries = Object.entries(labels);
  const other = entries.find(([, value]) => typeof value !== 'string');
  if (other) return `label ${JSON.stringify(other[0])} of ${what} is no text`;
  if (labels[RESOURCE_ID].trim() === '') return `${what} has no id`;
  return entries.length > MAX_LABELS ? `${what} has ${entries.length} labels, more than ${MAX_LABELS}` : null;
}

function checkedSize(event: string, content: object): number {
  const bytes = Buffer.byteLength(jsonOf(event, content));
  if (bytes > MAX_BYTES) throw new InvalidEventError(event, `it has ${bytes} bytes as JSON, more than ${MAX_BYTES}`);
  return bytes;
}

function jsonOf(event: string, content: object): string {
  try {
    return JSON.stringify(content);
  } catch (error) {
    throw new InvalidEventError(event, `its payload cannot be written as JSON (${String(error)})`);
  }
}
