import { Injectable } from '@nestjs/common';
import type { InstalledPackage } from './installed-package.js';
import { type Licence, LicenceClassifier } from './licence-classifier.js';
import { ManifestReader } from './manifest.reader.js';
import { type NodeRange, nodeRangeOf } from './node-range.js';

/** What one package contributes to the report: small, plain, and the same on every run over the same files. */
export interface PackageFacts {
  readonly path: string;
  readonly name: string;
  readonly version: string;
  /** The version of the manifest on disk when it is another one than the lock file's, else `null`. */
  readonly installedVersion: string | null;
  readonly dev: boolean;
  readonly optional: boolean;
  readonly peer: boolean;
  readonly licence: Licence;
  readonly node: NodeRange;
  readonly deprecated: string | null;
}

/** Finds out about one installed package; costs one small file. */
@Injectable()
export class PackageInspector {
  constructor(
    private readonly manifests: ManifestReader,
    private readonly licences: LicenceClassifier,
  ) {}

  /**
   * @param nodeVersion the version of Node the package has to run on, without `v`; by default the running one.
   * @throws {UnreadableManifestError} when the package is not installed, or its manifest is no JSON object up to 1 MiB.
   */
  async inspect(installed: InstalledPackage, nodeVersion = process.versions.node): Promise<PackageFacts> {
    const { path, name, version, dev, optional, peer, deprecated } = installed;
    const manifest = await this.manifests.read(installed.manifest);
    const found = typeof manifest.version === 'string' ? manifest.version : 'unknown';
    return {
      path,
      name,
      version,
      installedVersion: found === version ? null : found,
      dev,
      optional,
      peer,
      licence: this.licences.classify(manifest),
      node: nodeRangeOf(manifest.engines, nodeVersion),
      deprecated,
    };
  }
}
