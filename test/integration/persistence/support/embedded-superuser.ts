import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { resolveClusterHome } from '../../../../libs/orchestrator/src/persistence/embedded-postgres/cluster-home.js';
import { EmbeddedPostgres } from '../../../../libs/orchestrator/src/persistence/embedded-postgres/embedded-postgres.js';
import { SUPERUSER } from '../../../../libs/orchestrator/src/persistence/embedded-postgres/roles.js';

/**
 * A database on the embedded server, and the right to create roles there. Tests about what roles may do use it whatever
 * `DATABASE_URL` says: the role of that server need not be allowed to create others.
 */
export class EmbeddedSuperuser {
  private readonly roles: string[] = [];
  private readonly suffix = `${process.pid}_${randomBytes(4).toString('hex')}`;

  private constructor(
    private readonly server: EmbeddedPostgres,
    private readonly admin: Client,
    readonly database: string,
  ) {}

  static async open(): Promise<EmbeddedSuperuser> {
    const directory = join('node_modules', '.cache', 'nestor-test', 'postgres');
    const server = await EmbeddedPostgres.open({ directory });
    const password = readFileSync(resolveClusterHome(directory, () => undefined).superuserPassword, 'utf8').trim();
    const login = { ...server.connection, user: SUPERUSER, password };
    const database = `nestor_test_roles_${process.pid}_${randomBytes(4).toString('hex')}`;
    await withClient({ ...login, database: 'postgres' }, (client) => client.query(`create database ${database}`));
    const admin = new Client({ ...login, database });
    await admin.connect();
    return new EmbeddedSuperuser(server, admin, database);
  }

  /** Creates a role that may log in and nothing more; gives its name. */
  async createRole(): Promise<string> {
    const role = `nestor_test_${this.roles.length}_${this.suffix}`;
    await this.admin.query(`create role ${role} login password '${role}'`);
    this.roles.push(role);
    return role;
  }

  async query(sql: string): Promise<void> {
    await this.admin.query(sql);
  }

  /** The URL with which a role of {@link createRole} reaches the database. */
  urlOf(role: string, { password = role, database = this.database } = {}): string {
    const url = new URL(this.server.url);
    url.username = role;
    url.password = password;
    url.pathname = `/${database}`;
    return url.toString();
  }

  async close(): Promise<void> {
    const { host, port, user, password } = this.admin;
    await this.admin.end();
    await withClient({ host, port, user, password, database: 'postgres' }, async (client) => {
      await client.query(`drop database ${this.database} with (force)`);
      for (const role of this.roles) await client.query(`drop role ${role}`);
    });
    await this.server.close();
  }
}

async function withClient(
  config: ConstructorParameters<typeof Client>[0],
  work: (client: Client) => Promise<unknown>,
): Promise<void> {
  const client = new Client(config);
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
