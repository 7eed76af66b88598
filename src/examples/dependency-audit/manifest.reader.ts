import { Injectable } from '@nestjs/common';
import { UnreadableManifestError } from './audit-errors.js';
import { isRecord, readJsonFile, reasonOf } from './json-file.js';

const MAX_MANIFEST_BYTES = 1024 * 1024;

/** What the audit asks of a `package.json`. Authors wrote it by hand, so any field may be anything. */
export interface Manifest {
  readonly version?: unknown;
  readonly license?: unknown;
  /** How packages of the first years named several licences. */
  readonly licenses?: unknown;
  readonly engines?: unknown;
}

/** Reads the manifest of one installed package. */
@Injectable()
export class ManifestReader {
  /** @throws {UnreadableManifestError} when the file is missing, larger than 1 MiB, or not a JSON object. */
  async read(file: string): Promise<Manifest> {
    const manifest = await readJsonFile(file, MAX_MANIFEST_BYTES).catch((error: unknown) => {
      throw new UnreadableManifestError(file, reasonOf(error), { cause: error });
    });
    if (!isRecord(manifest)) throw new UnreadableManifestError(file, 'it is not a JSON object');
    return manifest;
  }
}
