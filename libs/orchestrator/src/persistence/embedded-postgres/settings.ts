import { createHash } from 'node:crypto';

import type { ClusterHome } from './cluster-home.js';
import type { Endpoint } from './endpoint.js';

/** What a new cluster is made with. It is fixed for its life. */
export const INITDB_OPTIONS: readonly string[] = [
  '--auth=scram-sha-256', // local sockets too: file permissions are one wall, this is another
  '--encoding=UTF8',
  // PostgreSQL's own collation: the operating system's changes with its updates and silently breaks indexes.
  '--locale-provider=builtin',
  '--builtin-locale=C.UTF-8',
  '--locale=C',
  '--data-checksums',
  '--no-instructions',
];

const SETTINGS: Readonly<Record<string, string>> = {
  // Durable, and said so: these are the defaults, and nothing in postgresql.conf may turn them off here.
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  // Small: it shares the machine with the application that started it.
  max_connections: '200',
  shared_buffers: '64MB',
  maintenance_work_mem: '32MB',
  max_wal_size: '256MB',
  min_wal_size: '32MB',
  io_method: 'sync', // three worker processes fewer; with data of this size they only cost a slower start
  jit: 'off',
  TimeZone: 'UTC',
  log_timezone: 'UTC',
  lc_messages: 'C', // failures are told apart by their English text
  password_encryption: 'scram-sha-256',
  // The log holds what happens to the server, not to statements: it stays small, and no data or secret gets into it.
  logging_collector: 'off',
  log_destination: 'stderr',
  log_line_prefix: '%m [%p] ',
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  log_statement: 'none',
  log_min_duration_statement: '-1',
  log_checkpoints: 'off',
  log_autovacuum_min_duration: '-1',
};

/** Name in the titles of the server's processes, by which those of a killed server are found. */
export function clusterName(home: ClusterHome): string {
  return `nestor-${createHash('sha256').update(home.data).digest('hex').slice(0, 12)}`;
}

/**
 * Command line of `postgres`. Settings are given here rather than in `postgresql.conf` so that they follow the code: an
 * old cluster runs with today's.
 */
export function serverArguments(home: ClusterHome, endpoint: Endpoint): string[] {
  const settings: Record<string, string> = {
    ...SETTINGS,
    cluster_name: clusterName(home),
    port: String(endpoint.port),
    ...(endpoint.kind === 'socket'
      ? { listen_addresses: '', unix_socket_directories: home.socket, unix_socket_permissions: '0700' }
      : { listen_addresses: endpoint.host, ...(process.platform === 'win32' ? {} : { unix_socket_directories: '' }) }),
  };
  return ['-D', home.data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}
