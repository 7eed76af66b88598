/** An entry of the lock file that is installed here. */
export interface InstalledPackage {
  /** Where it stands in the lock file: `node_modules/a/node_modules/b`. Unique. */
  readonly path: string;
  /** Its `package.json`: absolute, or relative to the working directory, as the lock file was named. */
  readonly manifest: string;
  /** The package's own name, also when it is installed under an alias. */
  readonly name: string;
  readonly version: string;
  /** Needed for development only. */
  readonly dev: boolean;
  /** May be absent on other platforms. */
  readonly optional: boolean;
  /** Installed only because another package expects it as a peer. */
  readonly peer: boolean;
  /** The message with which its authors withdrew this version, if the lock file tells. */
  readonly deprecated: string | null;
}
