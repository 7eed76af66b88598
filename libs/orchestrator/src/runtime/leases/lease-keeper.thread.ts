// Runs in a worker thread of its own, so that a busy event loop of the application costs no heartbeat. It is loaded as a
// file: what it imports at run time is `pg` alone.
import { parentPort, workerData } from 'node:worker_threads';
import { Client } from 'pg';
import type { LeaseKeeperSettings, LeaseNews, LeaseOrder, PeersRow } from './lease-messages.js';

const RECONNECT_FIRST_MS = 50;
const RECONNECT_LAST_MS = 1_000;
/** How long the others may take to come back after an outage that is over for us: as long as it lasted, and this. */
const OTHERS_RECONNECT_MS = RECONNECT_LAST_MS + 500;
/** An event loop that does not turn for this long is worth a line in the log. */
const REPORT_STALL_MS = 5_000;
/** A look at another process comes this much after the moment from which one may be dead. */
const CHECK_MARGIN_MS = 20;
/** A statement that takes longer than this has lost its server. */
const STATEMENT_TIMEOUT_MS = 5_000;

/** Keeps the lease of one process: its session, its lock, its heartbeats, and an eye on the other processes. */
class LeaseKeeper {
  private client: Client | null = null;
  private stopping = false;
  private fenced = false;
  private timers = new Set<NodeJS.Timeout>();
  private reconnectMs = RECONNECT_FIRST_MS;
  private stallReported = false;
  /** When the server last took a heartbeat. */
  private answeredAt = 0;
  /** When the last session was lost, while there is no other. */
  private lostAt: number | null = null;
  /** Before that it would be rash to take others for dead. */
  private mayJudgeFrom = 0;
  /** When one of the other processes may be dead. */
  private lookAt = Infinity;
  /** Whether sessions are lent out per transaction: then there is no lock to be held, and the lease alone decides. */
  private pooled: boolean;
  private readonly proof: BigInt64Array;
  private readonly pulse: BigInt64Array;

  constructor(
    private readonly settings: LeaseKeeperSettings,
    private readonly tell: (news: LeaseNews) => void,
  ) {
    this.pooled = settings.pooled;
    this.proof = new BigInt64Array(settings.proof);
    this.pulse = new BigInt64Array(settings.pulse);
  }

  async run(): Promise<void> {
    while (!this.stopping && !this.fenced) {
      try {
        await this.session();
        this.reconnectMs = RECONNECT_FIRST_MS;
      } catch (error) {
        if (this.stopping) break;
        this.noteLoss();
        this.tell({ kind: 'disconnected', reason: error instanceof Error ? error.message : String(error) });
        await this.pause(this.reconnectMs);
        this.reconnectMs = Math.min(this.reconnectMs * 2, RECONNECT_LAST_MS);
      }
    }
  }

  async stop(): Promise<void> {
    this.stopping = true;
    for (const timer of this.timers) clearTimeout(timer);
    await this.client?.end().catch((error: unknown) => error); // on a connection that is gone, ending fails as well
  }

  /** One session, until it breaks (rejects), or the keeper stops or is fenced (resolves). */
  private async session(): Promise<void> {
    const client = new Client({ ...this.settings.connection, query_timeout: STATEMENT_TIMEOUT_MS });
    const broken = new Promise<never>((_, reject) => {
      client.on('error', reject);
      client.on('end', () => reject(new Error('The connection was closed.')));
    });
    broken.catch(() => undefined); // it may break when nobody waits for it any more
    this.client = client;
    try {
      await client.connect();
      this.letOthersComeBack();
      client.on('notification', ({ payload }) => this.tell({ kind: 'notified', payload: payload ?? '' }));
      await client.query(this.settings.channels.map((channel) => `listen "${channel}"`).join('; '));
      const tookLock = await this.beat(client, false);
      if (this.fenced) return;
      this.tell({ kind: 'connected' });
      await Promise.race([broken, this.keep(client, tookLock)]);
    } finally {
      this.client = null;
      await client.end().catch((error: unknown) => error);
    }
  }

  /** Sends heartbeats, and looks at the other processes with each; in between as well, when one of them may die by then. */
  private async keep(client: Client, tookLock: boolean): Promise<void> {
    let beatAt = performance.now() + this.settings.heartbeatMs;
    for (;;) {
      const looks = this.lookAt < beatAt;
      await this.pause((looks ? this.lookAt : beatAt) - performance.now());
      if (this.stopping) return;
      if (looks) {
        await this.lookAtPeers(client);
        continue;
      }
      if (this.mainThreadIsAlive()) tookLock = await this.beat(client, tookLock);
      if (this.fenced) return;
      beatAt = performance.now() + this.settings.heartbeatMs;
    }
  }

  /**
   * Sends a heartbeat, after it has tried to take the lock where that is not ours yet: a session of ours that broke may hold
   * it until the server notices.
   *
   * A lock that was taken on this connection and is not held by the session that answers means that a pooler lends sessions
   * out per transaction. What one of them still holds then says nothing about us, so we no longer claim to hold it.
   *
   * @returns whether the lock has been taken on this connection.
   */
  private async beat(client: Client, tookLock: boolean): Promise<boolean> {
    const { statements, processId } = this.settings;
    const taken = tookLock || (!this.pooled && (await this.takeLock(client)));
    const sentAt = process.hrtime.bigint(); // before the database can have taken it
    const { rows } = await client.query<PeersRow & { holdsLock: boolean }>(statements.heartbeat, [
      ...[processId, ...statements.peersParameters],
      !this.pooled,
    ]);
    if (!rows[0]) {
      this.fenced = true;
      this.tell({ kind: 'fenced' });
      return taken;
    }
    Atomics.store(this.proof, 0, sentAt);
    this.answeredAt = performance.now();
    this.tell({ kind: 'confirmed' });
    this.judge(rows[0]);
    if (taken && !rows[0].holdsLock && !this.pooled) {
      this.pooled = true;
      this.tell({ kind: 'pooled' });
    }
    return taken;
  }

  private async takeLock(client: Client): Promise<boolean> {
    const { rows } = await client.query<{ locked: boolean }>(this.settings.statements.lock, [this.settings.processId]);
    return rows[0]?.locked === true;
  }

  private async lookAtPeers(client: Client): Promise<void> {
    const { peers, peersParameters } = this.settings.statements;
    const { rows } = await client.query<PeersRow>(peers, [this.settings.processId, ...peersParameters]);
    if (rows[0]) this.judge(rows[0]);
  }

  private judge({ dead, nextCheckMs }: PeersRow): void {
    if (dead.length > 0 && performance.now() >= this.mayJudgeFrom) this.tell({ kind: 'dead-peers', ids: dead });
    // Alone, there is nobody to watch; a newcomer is noticed with the next heartbeat.
    this.lookAt = nextCheckMs === null ? Infinity : performance.now() + Math.max(nextCheckMs, 0) + CHECK_MARGIN_MS;
  }

  /** A server that went silent was lost when it last answered; a session that broke, now. */
  private noteLoss(): void {
    const now = performance.now();
    this.lostAt ??= now - this.answeredAt > STATEMENT_TIMEOUT_MS ? this.answeredAt : now;
  }

  /**
   * Whatever cost this process its session, a failover for instance, may have kept the others from sending heartbeats as
   * well, and they may need longer to come back: until then none of them is taken for dead. One lease is enough in any case.
   */
  private letOthersComeBack(): void {
    if (this.lostAt === null) return;
    const now = performance.now();
    const outageMs = now - this.lostAt;
    this.mayJudgeFrom = now + Math.min(outageMs + OTHERS_RECONNECT_MS, this.settings.leaseMs);
    this.lostAt = null;
  }

  /** A process whose event loop has stood still for longer than it may is as good as dead: its lease is let run out. */
  private mainThreadIsAlive(): boolean {
    const forMs = Number((process.hrtime.bigint() - Atomics.load(this.pulse, 0)) / 1_000_000n);
    if (forMs <= REPORT_STALL_MS) this.stallReported = false;
    const heartbeatsStopped = forMs > this.settings.maxStallMs;
    if (forMs > REPORT_STALL_MS && !this.stallReported) {
      this.stallReported = true;
      this.tell({ kind: 'stalled', forMs, heartbeatsStopped }); // heard when the loop turns again
    }
    return !heartbeatsStopped;
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.timers.delete(timer);
        resolve();
      }, ms);
      this.timers.add(timer);
    });
  }
}

const port = parentPort;
if (port) {
  const keeper = new LeaseKeeper(workerData as LeaseKeeperSettings, (news) => port.postMessage(news));
  port.on('message', (order: LeaseOrder) => {
    if (order.kind === 'stop') void keeper.stop().finally(() => port.close());
  });
  void keeper.run();
}
