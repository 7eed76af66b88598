import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

import type { ClusterHome } from './cluster-home.js';
import { writePrivateFile } from './directories.js';
import { unlessMissing } from './system-errors.js';

/** Where the server listens. */
export interface Endpoint {
  readonly kind: 'socket' | 'tcp';
  /** The directory of the Unix socket, or an address. */
  readonly host: string;
  readonly port: number;
}

const LOOPBACK = '127.0.0.1';
/** With sockets only part of a file name, in a directory of its own. */
const SOCKET_PORT = 5432;
/** `sun_path` holds 104 bytes on macOS and 108 on Linux, with the final zero. */
const MAX_SOCKET_PATH_BYTES = 103;

/** Unix sockets are kept from other users by permissions, so they are used wherever the path fits. */
function usesSocket(home: ClusterHome): boolean {
  const path = join(home.socket, `.s.PGSQL.${SOCKET_PORT}`);
  return process.platform !== 'win32' && Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES;
}

/** Where a server started earlier would listen; undefined when none ever did. */
export function recordedEndpoint(home: ClusterHome): Endpoint | undefined {
  if (usesSocket(home)) return { kind: 'socket', host: home.socket, port: SOCKET_PORT };
  // A running server is believed first: line 4 of its `postmaster.pid`.
  const running = unlessMissing(() => readFileSync(join(home.data, 'postmaster.pid'), 'utf8'))?.split('\n')[3];
  const port = Number(running || unlessMissing(() => readFileSync(home.port, 'utf8')));
  return Number.isInteger(port) && port > 0 ? { kind: 'tcp', host: LOOPBACK, port } : undefined;
}

/** Where the next server shall listen. Without sockets: on the port of last time if that is free, else on another, recorded. */
export async function chooseEndpoint(home: ClusterHome): Promise<Endpoint> {
  const recorded = recordedEndpoint(home);
  if (recorded?.kind === 'socket') return recorded;
  const port = (recorded && (await freePort(recorded.port))) ?? (await freePort(0));
  if (port === undefined) throw new Error(`no TCP port is free on ${LOOPBACK}`);
  if (port !== recorded?.port) writePrivateFile(home.port, String(port));
  return { kind: 'tcp', host: LOOPBACK, port };
}

/** `port` (0: any) when one can listen on it. Somebody may take it before the server does; the start is then repeated. */
function freePort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(undefined));
    probe.listen({ host: LOOPBACK, port, exclusive: true }, () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' ? address?.port : undefined));
    });
  });
}
