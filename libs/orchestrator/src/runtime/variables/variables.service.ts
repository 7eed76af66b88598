import { Injectable } from '@nestjs/common';
import type { Instant } from '@nestor/core';
import type { JsonCompatible, JsonValue } from '../../persistence/storable-json.js';
import { Transactions } from '../../persistence/transactions.js';
import { VariablesRepository } from '../../records/variables/variables.repository.js';
import { Publications } from '../engine/publications.service.js';
import { checkedLimit, MAX_PAGE } from '../queries.js';
import { VariableExistsError, VariableNotFoundError } from './variable-errors.js';
import { checkedName, tagsText, valueText } from './variable-value.js';

/** A named value. */
export interface Variable {
  readonly name: string;
  readonly value: JsonValue;
  readonly tags: readonly string[];
  readonly created: Instant;
  readonly updated: Instant;
}

/** How a variable is set. */
export interface SetVariableOptions {
  /** Whether the value of an existing variable may be changed. Default: no. */
  readonly overwrite?: boolean;
  /** Default: none; of an existing variable those it has. */
  readonly tags?: readonly string[];
}

/**
 * Named values that runs of all applications of the schema share and people change: a threshold, an address, a switch. Not for
 * secrets, which go into {@link Blocks}: variables are kept in clear.
 *
 * A name has 1 to 255 lower-case letters, digits and the signs `_` and `-`; a value is plain JSON data of at most 5,000
 * characters.
 *
 * The body of a flow that runs again reads the value as it is then. What its calls depend on is read in a task, whose result is
 * recorded.
 */
@Injectable()
export class Variables {
  constructor(
    private readonly variables: VariablesRepository,
    private readonly transactions: Transactions,
    private readonly publications: Publications,
  ) {}

  /**
   * The value of a variable. Within a run it waits while the database is away.
   *
   * @typeParam T what the value is taken for; it is not checked.
   * @param fallback given where there is no variable of the name.
   * @throws {VariableNotFoundError} when there is none, and no fallback.
   */
  async get<T = JsonValue>(name: string): Promise<T>;
  async get<T>(name: string, fallback: T): Promise<T>;
  async get(name: string, ...fallback: [unknown?]): Promise<unknown> {
    const row = await this.publications.patientlyInRuns(() => this.variables.find(name));
    if (row) return row.value;
    if (fallback.length === 0) throw new VariableNotFoundError(name);
    return fallback[0];
  }

  /**
   * Sets a variable; durable when this resolves. Of several that set it at once without `overwrite`, one succeeds.
   *
   * @throws {InvalidVariableError} when the name, the value or a tag is not what it has to be.
   * @throws {VariableExistsError} when there is one of the name, and `overwrite` is not given.
   */
  async set(name: string, value: JsonValue, options?: SetVariableOptions): Promise<void>;
  async set<T>(name: string, value: T & JsonCompatible<T>, options?: SetVariableOptions): Promise<void>;
  async set(name: string, value: unknown, { overwrite = false, tags }: SetVariableOptions = {}): Promise<void> {
    const variable = { name: checkedName(name), value: valueText(name, value), tags: tagsText(name, tags) };
    const done = await this.transactions.single((tx) => this.variables.set(tx, variable, overwrite));
    if (!done) throw new VariableExistsError(name);
  }

  /** Removes a variable; tells whether there was one. */
  async unset(name: string): Promise<boolean> {
    return this.transactions.single((tx) => this.variables.delete(tx, name));
  }

  /**
   * The variables by name, a page at a time.
   *
   * @param page `limit` 1 to 200, default 200; `after` is the name of the last one of the page before.
   * @throws {InvalidQueryError} when `limit` cannot be meant.
   */
  async list({ limit = MAX_PAGE, after }: { readonly limit?: number; readonly after?: string } = {}): Promise<
    Variable[]
  > {
    const rows = await this.variables.list({ limit: checkedLimit(limit), ...(after !== undefined && { after }) });
    return rows.map(({ name, value, tags, created, updated }) => ({
      ...{ name, value: value as JsonValue, tags, created, updated },
    }));
  }
}
