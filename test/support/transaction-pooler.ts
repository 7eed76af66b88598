import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Client } from 'pg';

/** A session of the server, past its login, spoken to in the bytes of the protocol. */
interface Session {
  readonly socket: Socket;
  /** Whose transaction it serves; `null` while it is free. */
  client: PooledClient | null;
}

interface PooledClient {
  readonly socket: Socket;
  /** What it sent and no session has taken yet. */
  waiting: Buffer;
  greeted: boolean;
  session: Session | null;
}

/**
 * What PgBouncer does with `pool_mode = transaction`: every client is lent a session until its transaction has ended, and
 * another one, in turn, for the next. What a session keeps (advisory locks, prepared statements, `listen`) stays with it.
 */
export class TransactionPooler {
  private readonly sessions: Session[] = [];
  private readonly clients = new Set<PooledClient>();
  private readonly logins: Client[] = [];
  private next = 0;

  private constructor(
    private readonly server: Server,
    private readonly database: string,
  ) {}

  static async start({ url }: { readonly url: string }, sessions = 3): Promise<TransactionPooler> {
    const server = createServer();
    const pooler = new TransactionPooler(server, new URL(url).pathname.slice(1));
    for (let n = 0; n < sessions; n += 1) await pooler.addSession(url);
    server.on('connection', (socket) => pooler.accept(socket));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return pooler;
  }

  /** The database behind the pooler, which lets everybody in. */
  get url(): string {
    return `postgres://anybody:secret@127.0.0.1:${(this.server.address() as AddressInfo).port}/${this.database}`;
  }

  async close(): Promise<void> {
    this.server.close();
    for (const { socket } of this.clients) socket.destroy();
    for (const { socket } of this.sessions) socket.removeAllListeners('data');
    for (const login of this.logins)
      (login as unknown as { connection: { stream: Socket } }).connection.stream.destroy();
    for (const { socket } of this.sessions) if (!socket.closed) await once(socket, 'close');
  }

  /** Logs in as `pg` does, and takes the socket over. */
  private async addSession(url: string): Promise<void> {
    const login = new Client({ connectionString: url });
    login.on('error', () => undefined);
    await login.connect();
    const { stream: socket } = (login as unknown as { connection: { stream: Socket } }).connection;
    socket.removeAllListeners('data');
    const session: Session = { socket, client: null };
    let rest: Buffer = Buffer.alloc(0);
    socket.on('data', (bytes) => {
      const { messages, left } = split(Buffer.concat([rest, bytes]));
      rest = left;
      for (const message of messages) this.answer(session, message);
    });
    this.logins.push(login);
    this.sessions.push(session);
  }

  private accept(socket: Socket): void {
    const client: PooledClient = { socket, waiting: Buffer.alloc(0), greeted: false, session: null };
    this.clients.add(client);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.clients.delete(client));
    socket.on('data', (bytes) => {
      client.waiting = Buffer.concat([client.waiting, bytes]);
      this.serve(client);
    });
  }

  private serve(client: PooledClient): void {
    if (!client.greeted && !this.greet(client)) return;
    if (!client.session) {
      const { messages } = split(client.waiting);
      if (messages.length === 0) return;
      if (messages[0]![0] === TERMINATE) return void client.socket.end();
      client.session = this.lend(client);
    }
    if (!client.session) return; // all are lent; the next that is free comes here
    client.session.socket.write(client.waiting);
    client.waiting = Buffer.alloc(0);
  }

  /** Answers what comes before the first statement: no TLS, no password asked for. `false` until it is there as a whole. */
  private greet(client: PooledClient): boolean {
    while (client.waiting.length >= 8 && client.waiting.length >= client.waiting.readUInt32BE(0)) {
      const length = client.waiting.readUInt32BE(0);
      const code = client.waiting.readUInt32BE(4);
      client.waiting = client.waiting.subarray(length);
      if (code === SSL_REQUEST) {
        client.socket.write('N');
        continue;
      }
      client.socket.write(
        Buffer.concat([
          message('R', Buffer.alloc(4)),
          ...['server_encoding\0UTF8\0', 'client_encoding\0UTF8\0'].map((text) => message('S', Buffer.from(text))),
          message('K', Buffer.alloc(8)),
          message('Z', Buffer.from('I')),
        ]),
      );
      return (client.greeted = true);
    }
    return false;
  }

  private lend(client: PooledClient): Session | null {
    const first = this.next++ % this.sessions.length;
    const inTurn = [...this.sessions.slice(first), ...this.sessions.slice(0, first)];
    const session = inTurn.find((one) => one.client === null) ?? null;
    if (session) session.client = client;
    return session;
  }

  private answer(session: Session, message: Buffer): void {
    session.client?.socket.write(message); // without one it is a notification that nobody hears
    const transactionEnded = message[0] === READY && message[5] === IDLE;
    if (!transactionEnded || !session.client) return;
    const { client } = session;
    client.session = null;
    session.client = null;
    if (!client.socket.destroyed) this.serve(client);
    for (const waiting of this.clients) if (!waiting.session && waiting.waiting.length > 0) this.serve(waiting);
  }
}

const SSL_REQUEST = 80_877_103;
const TERMINATE = 'X'.charCodeAt(0);
const READY = 'Z'.charCodeAt(0);
const IDLE = 'I'.charCodeAt(0);

/** A message is a byte that tells its kind, its length without that byte, and its body. */
function message(kind: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(kind);
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

function split(bytes: Buffer): { readonly messages: Buffer[]; readonly left: Buffer } {
  const messages: Buffer[] = [];
  let left = bytes;
  while (left.length >= 5 && left.length >= left.readUInt32BE(1) + 1) {
    const length = left.readUInt32BE(1) + 1;
    messages.push(left.subarray(0, length));
    left = left.subarray(length);
  }
  return { messages, left };
}
