import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { connectionSettingsOf } from '../../../../libs/orchestrator/src/persistence/connection/connection-settings.js';

/** `Query`, as the driver sends it. */
const COMMIT = Buffer.from('Q\0\0\0\x0bCOMMIT\0', 'latin1');

/**
 * What becomes of a commit: it does not reach the server; or its answer does not come back; or neither is known, because nothing comes
 * back and the connection stays as it is.
 */
type Fate = 'lost' | 'unanswered' | 'silent';

/** Stands between an application and its database, and lets commits meet their fate. */
export class CommitProxy {
  /** What becomes of the next commit. */
  next: Fate | null = null;
  /** How many commits have met it. */
  met = 0;
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    private readonly target: ReturnType<typeof connectionSettingsOf>,
  ) {
    server.on('connection', (client) => this.accept(client));
  }

  static async start(database: { readonly url: string }): Promise<CommitProxy> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new CommitProxy(server, connectionSettingsOf(database.url));
  }

  get url(): string {
    const { user, password, database } = this.target;
    const { port } = this.server.address() as AddressInfo;
    return `postgres://${encodeURIComponent(user)}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`;
  }

  close(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  private accept(client: Socket): void {
    const { host, port } = this.target;
    const upstream = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        this.sockets.delete(socket);
        other.destroy();
      });
    }
    let isSilent = false;
    upstream.on('data', (packet) => isSilent || client.write(packet));
    client.on('data', (packet) => {
      const fate = packet.equals(COMMIT) ? this.next : null;
      if (fate === 'lost') {
        client.destroy();
      } else {
        upstream.write(packet);
        // Its answer would come in a moment; nobody is there any more to get it.
        if (fate === 'unanswered') upstream.once('data', () => client.destroy());
        isSilent = fate !== null;
      }
      if (fate === null) return;
      this.next = null;
      this.met += 1;
    });
  }
}
