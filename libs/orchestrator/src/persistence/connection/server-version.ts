import { DatabaseTooOldError, type SafeAddress } from './database-errors.js';

/** A server's version, as a number to compare (150019) and as it is printed (`15.19 (Debian 15.19-0+deb12u1)`). */
export interface ServerVersion {
  readonly number: number;
  readonly name: string;
}

/** Our SQL uses nothing that is newer than PostgreSQL 14. */
const OLDEST_SUPPORTED = 140_000;

/** @throws {DatabaseTooOldError} when the server is older than PostgreSQL 14. */
export function refuseOldServer(version: ServerVersion, address: SafeAddress): void {
  if (version.number < OLDEST_SUPPORTED) throw new DatabaseTooOldError(address, version.name);
}
