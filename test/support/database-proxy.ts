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

/** Lets what one side says through to the other, in both directions. */
type Forward = (client: Socket, upstream: Socket) => void;

const everything: Forward = (client, upstream) => {
  client.pipe(upstream);
  upstream.pipe(client);
};

/** Stands between an application and its database, so that the database can be gone for one and there for the test. */
export class DatabaseProxy {
  private readonly sockets = new Set<Socket>();
  private server: Server | null = null;
  private port = 0;
  private frozen = false;
  private endsNext = false;

  private constructor(
    private readonly target: ReturnType<typeof connectionSettingsOf>,
    private readonly forward: Forward,
  ) {}

  /** @param forward what it lets through. Default: everything. */
  static async start(database: { readonly url: string }, forward = everything): Promise<DatabaseProxy> {
    const proxy = new DatabaseProxy(connectionSettingsOf(database.url), forward);
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
    }
    if (this.frozen) return;
    if (this.endsNext) endWhenReady(client, upstream);
    else this.forward(client, upstream);
    this.endsNext = false;
  }
}

function endWhenReady(client: Socket, upstream: Socket): void {
  client.pipe(upstream);
  upstream.on('data', (packet) => {
    if (packet.subarray(-READY.length).equals(READY)) client.end(Buffer.concat([packet, SHUTTING_DOWN]));
    else client.write(packet);
  });
}
