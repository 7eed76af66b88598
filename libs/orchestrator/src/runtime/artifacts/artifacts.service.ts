import { Injectable } from '@nestjs/common';
import type { Instant } from '@nestor/core';
import { isId } from '../../persistence/ids.js';
import type { ArtifactEntity } from '../../records/artifacts/artifact.entity.js';
import { ArtifactsRepository } from '../../records/artifacts/artifacts.repository.js';
import { Publications } from '../engine/publications.service.js';
import { checkedId, checkedLimit } from '../queries.js';
import { checkedKey, linkData, progressData, tableData, textData, type ArtifactTable } from './artifact-data.js';
import { ArtifactNotFoundError } from './artifact-errors.js';

/** What every artifact may have. */
export interface ArtifactOptions {
  /** Artifacts of one key are versions of one thing: lower-case letters, digits and dashes. Default: none. */
  readonly key?: string;
  /** For people; Markdown. */
  readonly description?: string;
}

/** Something that was published for people. */
export interface Artifact {
  readonly id: string;
  readonly key: string | null;
  /** `markdown` (links too), `table`, `image`, `progress`, and whatever foreign clients publish. */
  readonly type: string | null;
  /** A text; of a table the JSON text of its rows or columns; a number for progress. */
  readonly data: unknown;
  readonly description: string | null;
  /** The flow run that published it; `null` outside any. */
  readonly flowRunId: string | null;
  /** The innermost task run that did; `null` in the body of a flow. */
  readonly taskRunId: string | null;
  readonly created: Instant;
  readonly updated: Instant;
}

/**
 * Publishes what people are to see of a run: texts, tables, links, images, progress. Inside a run an artifact belongs to it.
 *
 * An artifact is durable when the call resolves with its id. Code that runs again does not publish it again: in the body of a
 * flow, what says the same at the same place is published once, whether the run is resumed or tried again. In a task that
 * holds for each attempt; one that says something else when it runs again, after its process died, is published besides: at
 * least once. Within a run the calls wait while the database is away.
 *
 * @example
 * ```ts
 * await this.artifacts.table({ key: 'licences', table: rows, description: 'Licences by package' });
 * ```
 */
@Injectable()
export class Artifacts {
  constructor(
    private readonly artifacts: ArtifactsRepository,
    private readonly publications: Publications,
  ) {}

  /** @throws {InvalidArtifactError} when the key is none, or the text has more than 10 MiB characters. */
  markdown({ markdown, ...options }: ArtifactOptions & { readonly markdown: string }): Promise<string> {
    return this.publish('markdown', () => textData(markdown, 'markdown'), options);
  }

  /**
   * @param artifact `table`: a list of rows, or columns by name; what JSON has no word for becomes a text or `null`.
   * @throws {InvalidArtifactError} when the key is none, or the table is none or too large.
   */
  table({ table, ...options }: ArtifactOptions & { readonly table: ArtifactTable }): Promise<string> {
    return this.publish('table', () => tableData(table), options);
  }

  /**
   * Kept as Markdown.
   *
   * @param artifact `linkText` is what is shown of it; default: the link itself.
   * @throws {InvalidArtifactError} when the key is none, or the link is empty.
   */
  link({
    link,
    linkText,
    ...options
  }: ArtifactOptions & { readonly link: string; readonly linkText?: string }): Promise<string> {
    return this.publish('markdown', () => linkData(link, linkText), options);
  }

  /** @throws {InvalidArtifactError} when the key is none. */
  image({ imageUrl, ...options }: ArtifactOptions & { readonly imageUrl: string }): Promise<string> {
    return this.publish('image', () => textData(imageUrl, 'image URL'), options);
  }

  /**
   * A bar that {@link updateProgress} moves.
   *
   * @param artifact `progress`: from 0 to 100; default 0.
   * @throws {InvalidArtifactError} when the key is none, or the progress is no such number.
   */
  progress({ progress = 0, ...options }: ArtifactOptions & { readonly progress?: number }): Promise<string> {
    return this.publish('progress', () => progressData(progress), options);
  }

  /**
   * Moves the bar of {@link progress}. A body that runs again moves it again, from its beginning.
   *
   * @throws {ArtifactNotFoundError} when there is no such bar.
   * @throws {InvalidArtifactError} when the progress is no number from 0 to 100.
   */
  updateProgress(id: string, progress: number): Promise<void> {
    return this.publications.unlessOver(async () => {
      const data = progressData(progress);
      const found =
        isId(id) && (await this.publications.write((tx) => this.artifacts.setData(tx, id, 'progress', data)));
      if (!found) throw new ArtifactNotFoundError(id, 'progress artifact');
    });
  }

  /** @throws {ArtifactNotFoundError} when there is none of that id. */
  async get(id: string): Promise<Artifact> {
    const row = isId(id) ? await this.artifacts.find(id) : null;
    if (!row) throw new ArtifactNotFoundError(id);
    return artifactOf(row);
  }

  /** The latest artifact of a key; `null` when there is none. It stays when the history of its run is dropped. */
  async latest(key: string): Promise<Artifact | null> {
    const row = await this.artifacts.findLatest(checkedKey(key));
    return row && artifactOf({ ...row, id: row.latestId, created: row.latestCreated });
  }

  /**
   * The artifacts of a key, latest first, a page at a time.
   *
   * @param page `limit` 1 to 200, default 50; `before` is the id of the last artifact of the page before.
   * @throws {InvalidQueryError} when `limit` or `before` cannot be meant.
   */
  async list(
    key: string,
    { limit = 50, before }: { readonly limit?: number; readonly before?: string } = {},
  ): Promise<Artifact[]> {
    const page = {
      limit: checkedLimit(limit),
      ...(before !== undefined && { before: checkedId(before, 'an artifact') }),
    };
    return (await this.artifacts.list(checkedKey(key), page)).map(artifactOf);
  }

  private publish(type: string, content: () => string | number, options: ArtifactOptions): Promise<string> {
    return this.publications.unlessOver(async () => {
      const data = content();
      const key = options.key === undefined ? null : checkedKey(options.key);
      const description = options.description === undefined ? null : textData(options.description, 'description');
      const id = this.publications.idOf('artifact', [type, key, data, description]);
      const artifact = { id, key, type, data, description, ...this.publications.publisher };
      await this.publications.write((tx) => this.artifacts.insert(tx, artifact));
      return id;
    });
  }
}

function artifactOf(row: Pick<ArtifactEntity, keyof Artifact>): Artifact {
  const { id, key, type, data, description, flowRunId, taskRunId, created, updated } = row;
  return { id, key, type, data, description, flowRunId, taskRunId, created, updated };
}
