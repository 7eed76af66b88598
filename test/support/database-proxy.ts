import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { connectionSettingsOf } from '../../libs/orchestrator/src/persistence/connection/connection-settings.js';

/** `ReadyForQuery`, outside any transaction. */
const READY = Buffer.from('Z\0\0\0\x05I', 'latin1');
/** The `ErrorResponse` of a server that shuts down. */
const SHUTTING_DOWN = errorResponse('SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0');

function errorResponse(fields: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(4 + fields.length);
  return Buffer.concat([Buffer.from('E'), length, Buffer.from(fields, 'latin1')]);
}

/** Stands between an application and its database, so that the database can be gone for one and there for the test. */
export class DatabaseProxy {
  private readonly sockets = new Set<Socket>();
  private server: Server | null = null;
  private port = 0;
  private frozen = false;
  private endsNext = false;

  private constructor(private readonly target: ReturnType<typeof connectionSettingsOf>) {}

  static async start(database: { readonly url: string }): Promise<DatabaseProxy> {
    const proxy = new DatabaseProxy(connectionSettingsOf(database.url));
    await proxy.restore();
    return proxy;
  }

  /** The database behind the proxy. */
  get url(): string {
    const { user, password, database } = this.target;
    return `postgres://${encodeURIComponent(user)}:${encodeURIComponent(password)}@127.0.0.1:${this.port}/${database}`;
  }

  /** Breaks every connection and refuses new ones. */
  cut(): void {
    this.server?.close();
    this.server = null;
    for (const socket of this.sockets) socket.destroy();
  }

  /** Lets nothing through any more, and tells nobody: what a machine does that lost its network. */
  freeze(): void {
    this.frozen = true;
    for (const socket of this.sockets) socket.unpipe().pause();
  }

  /** Ends the next connection in the very packet that says that it is ready, as a server may do that shuts down. */
  endNext(): void {
    this.endsNext = true;
  }

  /** Accepts connections again. */
  async restore(): Promise<void> {
    this.server = createServer((client) => this.accept(client)).listen(this.port, '127.0.0.1');
    await once(this.server, 'listening');
    this.port = (this.server.address() as AddressInfo).port;
  }

  close(): void {
    this.cut();
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
      if (this.endsNext && socket === upstream) this.endWhenReady(upstream, client);
      else if (!this.frozen) socket.pipe(other);
    }
    this.endsNext = false;
  }

  private endWhenReady(upstream: Socket, client: Socket): void {
    upstream.on('data', (packet) => {
      if (packet.subarray(-READY.length).equals(READY)) client.end(Buffer.concat([packet, SHUTTING_DOWN]));
      else client.write(packet);
    });
  }
}
