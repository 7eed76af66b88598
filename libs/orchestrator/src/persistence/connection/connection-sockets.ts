import { Socket } from 'node:net';

/** The sockets of a pool, those that are still connecting included, so that all of them can be closed at once. */
export class ConnectionSockets {
  private readonly open = new Set<Socket>();

  /** Makes a socket; `pg` calls it for every connection. */
  readonly create = (): Socket => {
    const socket = new Socket();
    this.open.add(socket);
    socket.once('close', () => this.open.delete(socket));
    return socket;
  };

  /** Closes every socket without a word to the server; what waits for an answer fails. */
  destroyAll(): void {
    for (const socket of this.open) socket.destroy();
  }
}
