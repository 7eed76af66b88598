import { InvalidArtifactError } from './artifact-errors.js';

/** Rows as objects, or columns by name. */
export type ArtifactTable = readonly Readonly<Record<string, unknown>>[] | Readonly<Record<string, readonly unknown[]>>;

const KEY = /^[a-z0-9-]{1,255}$/;
/** What people look at; more belongs into a file or an object store that a link leads to. */
const MAX_CHARACTERS = 10 * 1024 * 1024;

/** @throws {InvalidArtifactError} when it is not of that form. */
export function checkedKey(key: string): string {
  if (KEY.test(key)) return key;
  throw new InvalidArtifactError(
    'key',
    `is ${JSON.stringify(key)}; it must have 1 to 255 lower-case letters, digits and dashes`,
  );
}

/** A text as it is kept. @throws {InvalidArtifactError} when it is none, or too long. */
export function textData(text: string, field: string): string {
  if (typeof text !== 'string') throw new InvalidArtifactError(field, `is a ${typeof text}; it must be a text`);
  if (text.length <= MAX_CHARACTERS) return text;
  throw new InvalidArtifactError(
    field,
    `has ${text.length} characters, more than ${MAX_CHARACTERS}; keep it elsewhere and publish a link to it`,
  );
}

/** A link as Markdown; its text is the link itself unless there is one. */
export function linkData(link: string, linkText: string = link): string {
  if (textData(link, 'link').trim() === '') throw new InvalidArtifactError('link', 'is empty');
  const target = link.replace(/[\s()<>]/g, (character) => `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return textData(`[${linkText.replace(/[\\[\]]/g, '\\$&')}](${target})`, 'link');
}

/**
 * A table as the JSON text of its rows, or of its columns, as it was given. What JSON has no word for becomes a text (a
 * `bigint`, a date) or `null` (`NaN`, `undefined`).
 *
 * @throws {InvalidArtifactError} when it is no table, or too large.
 */
export function tableData(table: ArtifactTable): string {
  const isTable = Array.isArray(table)
    ? table.every(isObject)
    : isObject(table) && Object.values(table).every(Array.isArray);
  if (!isTable)
    throw new InvalidArtifactError('table', 'must be a list of rows that are objects, or columns that are lists');
  return textData(jsonOf(table), 'table');
}

/** @throws {InvalidArtifactError} when it is no number from 0 to 100. */
export function progressData(progress: number): number {
  if (typeof progress === 'number' && progress >= 0 && progress <= 100) return progress;
  throw new InvalidArtifactError('progress', `is ${String(progress)}; it must be a number from 0 to 100`);
}

function jsonOf(table: ArtifactTable): string {
  try {
    return JSON.stringify(table, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value));
  } catch (error) {
    throw new InvalidArtifactError('table', `cannot be written as JSON (${String(error)})`);
  }
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
