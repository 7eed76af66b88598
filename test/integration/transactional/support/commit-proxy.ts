import type { Socket } from 'node:net';
import { DatabaseProxy } from '../../../support/database-proxy.js';

/** `Query`, as the driver sends it. */
const COMMIT = Buffer.from('Q\0\0\0\x0bCOMMIT\0', 'latin1');

/**
 * What becomes of a commit: it does not reach the server; or its answer does not come back; or neither is known, because
 * nothing comes back and the connection stays as it is.
 */
type Fate = 'lost' | 'unanswered' | 'silent';

/** Stands between an application and its database, and lets commits meet their fate. */
export class CommitProxy {
  /** What becomes of the next commit. */
  next: Fate | null = null;
  /** How many commits have met it. */
  met = 0;

  private constructor(private readonly proxy: () => DatabaseProxy) {}

  static async start(database: { readonly url: string }): Promise<CommitProxy> {
    const commits = new CommitProxy(() => proxy);
    const proxy = await DatabaseProxy.start(database, (client, upstream) => commits.forward(client, upstream));
    return commits;
  }

  get url(): string {
    return this.proxy().url;
  }

  close(): void {
    this.proxy().close();
  }

  private forward(client: Socket, upstream: Socket): void {
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
