import { Injectable } from '@nestjs/common';
import type { Instant } from '@nestor/core';
import { newId } from '../../persistence/ids.js';
import { Transactions } from '../../persistence/transactions.js';
import { BlocksRepository, type StoredBlock } from '../../records/blocks/blocks.repository.js';
import { Publications } from '../engine/publications.service.js';
import { checkedId, checkedLimit, MAX_PAGE } from '../queries.js';
import { Secret } from '../secrets/secret.js';
import { SecretUnreadableError } from '../secrets/secret-errors.js';
import { SecretKeys } from '../secrets/secret-keys.service.js';
import { masked, partsOf, putSecrets } from './block-content.js';
import { blockClassOf, blockOptionsOf, type BlockClass } from './block-definition.js';
import { BlockExistsError, BlockNotFoundError, InvalidBlockError } from './block-errors.js';
import { registrationOf } from './block-schema.js';
import { instantiate, problemsOf } from './block-instance.js';

/** A block as people see it. */
export interface BlockDocument {
  readonly id: string;
  /** Of its type. */
  readonly slug: string;
  readonly name: string;
  /** The fields; secrets are eight asterisks. */
  readonly data: Readonly<Record<string, unknown>>;
  readonly created: Instant;
  readonly updated: Instant;
}

/** Characters that the HTTP contract gives a meaning of their own in names. */
const NAME = /^[^/%&><\0]{1,255}$/;
const INVALID_NAME = 'a name has 1 to 255 characters, none of them / % & < > or NUL';

/**
 * Configuration documents, each of a class decorated with `@Block()` and under a name that is unique within its type.
 *
 * Fields that are a {@link Secret} are encrypted with AES-256-GCM, each bound to its document and place: who may write to the
 * database cannot read one, nor put one in the place of another. The key is that of option `secretKey`; beside the embedded
 * database one is made when it is needed, in the file `secret.key` of its directory.
 *
 * A block is no result of a task: load it where it is used. What is recorded of it shows asterisks.
 */
@Injectable()
export class Blocks {
  constructor(
    private readonly blocks: BlocksRepository,
    private readonly transactions: Transactions,
    private readonly publications: Publications,
    private readonly keys: SecretKeys,
  ) {}

  /**
   * Saves a block, and registers its type and the schema of its fields. Durable, as a whole, when this resolves with its id; of
   * several that save one name at once without `overwrite`, one succeeds.
   *
   * @param name 1 to 255 characters, none of them `/ % & < >`.
   * @param options `overwrite`: whether an existing block of the name may be changed; default no.
   * @throws {NotABlockError} when its class is not decorated.
   * @throws {InvalidBlockError} when the name or a field is not what it has to be.
   * @throws {BlockExistsError} when there is one of the name, and `overwrite` is not given.
   * @throws {SecretKeyMissingError} when it has secrets and there is no key.
   */
  async save(
    name: string,
    instance: object,
    { overwrite = false }: { readonly overwrite?: boolean } = {},
  ): Promise<string> {
    const type = instance.constructor as BlockClass;
    const registration = registrationOf(type);
    const block = `${registration.type.slug}/${name}`;
    const { data, secrets, problems } = partsOf(instance);
    await assertValid(block, instance, NAME.test(name) ? problems : [INVALID_NAME, ...problems]);
    for (;;) {
      const existing = overwrite ? await this.blocks.find(registration.type.slug, name) : null;
      const id = existing?.id ?? newId(); // what secrets are bound to
      const content = { id, name, data, secrets: await this.encrypt(block, id, secrets) };
      if (await this.transactions.single((tx) => this.blocks.save(tx, registration, content, overwrite))) return id;
      if (!overwrite) throw new BlockExistsError(block);
      // Somebody created it a moment ago, under another id: once more, for that one.
    }
  }

  /**
   * Loads a block: an instance of its class, validated, with its secrets. Within a run it waits while the database is away.
   *
   * @throws {BlockNotFoundError} when there is none of the name.
   * @throws {InvalidBlockError} when what is kept is not what the class says by now.
   * @throws {SecretKeyMissingError} or {@link SecretUnreadableError} when a secret cannot be decrypted here.
   */
  async load<T extends object>(type: BlockClass<T>, name: string): Promise<T> {
    const { slug } = blockOptionsOf(type);
    const row = await this.get(slug, name);
    const secrets = await this.decrypt(row);
    const instance = instantiate(type, row.data);
    putSecrets(instance, secrets.keys(), (pointer) => secrets.get(pointer));
    await assertValid(`${slug}/${name}`, instance, partsOf(instance).problems);
    return instance;
  }

  /**
   * Loads a block whose class its caller does not know: an instance where this process has the class, else its
   * fields. Either has its secrets.
   *
   * @throws {BlockNotFoundError} and the others as {@link load} does.
   * @internal
   */
  async open(slug: string, name: string): Promise<object> {
    const type = blockClassOf(slug);
    if (type) return this.load(type, name);
    const row = await this.get(slug, name);
    const secrets = await this.decrypt(row);
    const fields = structuredClone(row.data);
    putSecrets(fields, secrets.keys(), (pointer) => secrets.get(pointer));
    return fields;
  }

  /**
   * A block as people may see it: nothing is decrypted or validated.
   *
   * @param type the class, or the slug, of its type.
   * @throws {BlockNotFoundError} when there is none of the name.
   */
  async loadRaw(type: BlockClass | string, name: string): Promise<BlockDocument> {
    return documentOf(await this.get(slugOf(type), name));
  }

  /**
   * Blocks as people may see them, in the order of their creation, a page at a time.
   *
   * @param page `type` narrows it to a class or slug; `limit` 1 to 200, default 200; `after` is the id of the last one of the
   * page before.
   * @throws {InvalidQueryError} when `limit` or `after` cannot be meant.
   */
  async list({
    type,
    limit = MAX_PAGE,
    after,
  }: { readonly type?: BlockClass | string; readonly limit?: number; readonly after?: string } = {}): Promise<
    BlockDocument[]
  > {
    const page = { limit: checkedLimit(limit), ...(after !== undefined && { after: checkedId(after, 'a block') }) };
    return (await this.blocks.list({ ...page, ...(type !== undefined && { slug: slugOf(type) }) })).map(documentOf);
  }

  /** Removes a block; tells whether there was one. Its type and schema stay. */
  async delete(type: BlockClass | string, name: string): Promise<boolean> {
    return this.transactions.single((tx) => this.blocks.delete(tx, slugOf(type), name));
  }

  /**
   * Encrypts with the first key of option `secretKey` what an earlier one encrypted; after that an earlier one may go, once no
   * process writes with it any more. Interrupted, it is called again.
   *
   * @returns how many blocks were encrypted anew.
   * @throws {SecretKeyMissingError} or {@link SecretUnreadableError} when a secret cannot be decrypted here.
   */
  async reencrypt(): Promise<number> {
    let count = 0;
    let after: string | undefined;
    for (;;) {
      const rows = await this.blocks.list({ limit: MAX_PAGE, ...(after !== undefined && { after }) });
      for (const row of rows) if (await this.reencryptOne(row)) count += 1;
      after = rows.at(-1)?.id;
      if (after === undefined) return count;
    }
  }

  /** One that is saved meanwhile stays as that leaves it: it was encrypted with the key of whoever saved it. */
  private async reencryptOne(row: StoredBlock): Promise<boolean> {
    if (Object.keys(row.secrets).length === 0) return false;
    const ring = await this.keys.forReading();
    if (Object.values(row.secrets).every((text) => ring.isCurrent(Buffer.from(text, 'base64')))) return false;
    const others = await this.encrypt(subjectOf(row), row.id, await this.decrypt(row));
    return this.transactions.single((tx) => this.blocks.replaceSecrets(tx, row, others));
  }

  private async get(slug: string, name: string): Promise<StoredBlock> {
    const row = await this.publications.patientlyInRuns(() => this.blocks.find(slug, name));
    if (!row) throw new BlockNotFoundError(`${slug}/${name}`);
    return row;
  }

  private async encrypt(
    block: string,
    id: string,
    secrets: ReadonlyMap<string, Secret<unknown>>,
  ): Promise<Record<string, string>> {
    if (secrets.size === 0) return {};
    const ring = await this.keys.forWriting();
    const encrypted = [...secrets].map(([pointer, secret]) => {
      const text = jsonOf(secret);
      if (text === undefined) throw new InvalidBlockError(block, [`the secret at ${pointer} cannot be kept as JSON`]);
      return [pointer, ring.encrypt(Buffer.from(text), contextOf(id, pointer)).toString('base64')];
    });
    return Object.fromEntries(encrypted) as Record<string, string>;
  }

  private async decrypt(row: StoredBlock): Promise<Map<string, Secret<unknown>>> {
    const secrets = new Map<string, Secret<unknown>>();
    const entries = Object.entries(row.secrets);
    if (entries.length === 0) return secrets;
    const ring = await this.keys.forReading();
    for (const [pointer, text] of entries) {
      const subject = `${pointer} of block "${subjectOf(row)}"`;
      const bytes = attempted(subject, () => ring.decrypt(Buffer.from(text, 'base64'), contextOf(row.id, pointer)));
      secrets.set(pointer, new Secret(JSON.parse(bytes.toString()) as unknown));
    }
    return secrets;
  }
}

/** @throws {SecretUnreadableError} in the place of what `decrypt` throws. */
function attempted(subject: string, decrypt: () => Buffer): Buffer {
  try {
    return decrypt();
  } catch (error) {
    throw new SecretUnreadableError(subject, error);
  }
}

/** What a secret is bound to. */
function contextOf(documentId: string, pointer: string): string {
  return `${documentId}\0${pointer}`;
}

/** `undefined` when JSON has no word for it; why is not told, because that might quote it. */
function jsonOf(secret: Secret<unknown>): string | undefined {
  try {
    return JSON.stringify(secret.reveal());
  } catch {
    return undefined;
  }
}

async function assertValid(block: string, instance: object, problems: readonly string[]): Promise<void> {
  const all = [...problems, ...(await problemsOf(instance))];
  if (all.length > 0) throw new InvalidBlockError(block, all);
}

function documentOf({ id, slug, name, data, secrets, created, updated }: StoredBlock): BlockDocument {
  return { id, slug, name, data: masked(data, Object.keys(secrets)), created, updated };
}

function subjectOf({ slug, name }: StoredBlock): string {
  return `${slug}/${name}`;
}

function slugOf(type: BlockClass | string): string {
  return typeof type === 'string' ? type : blockOptionsOf(type).slug;
}
