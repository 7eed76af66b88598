import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import type { HandedLease } from '@nestor/orchestrator';
import type { CompiledProgram } from '../../../support/compiled-program.js';

/** What was posted. */
interface Posted {
  readonly path: string;
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: { readonly lease: HandedLease; readonly [field: string]: unknown };
}

/** How a post is answered; `start` has a process begin the run first. */
type Answer = (posted: Posted, response: ServerResponse, start: () => number) => void;

/** What stands behind the URL of a push pool: an HTTP server that starts a process for each run. */
export class PushTarget {
  readonly posts: Posted[] = [];
  /** How the next posts are answered; what is beyond them begins the run and is accepted. */
  readonly answers: Answer[] = [];
  private readonly children = new Set<ChildProcess>();

  private constructor(
    private readonly server: Server,
    private readonly program: CompiledProgram,
    private readonly databaseUrl: string,
  ) {
    server.on('request', (request, response) => void this.answer(request, response));
  }

  static async start(program: CompiledProgram, databaseUrl: string): Promise<PushTarget> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new PushTarget(server, program, databaseUrl);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    const gone = [...this.children].map((child) => once(child, 'exit'));
    for (const child of this.children) child.kill('SIGKILL');
    this.server.closeAllConnections();
    this.server.close();
    await Promise.all(gone);
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = JSON.parse(Buffer.concat(chunks).toString()) as Posted['body'];
    const { url = '', method = '', headers } = request;
    const posted = { path: url, method, headers, body };
    this.posts.push(posted);
    const answer = this.answers.shift() ?? accept;
    answer(posted, response, () => this.begin(posted.body.lease));
  }

  /** Starts a process for a run; gives its id. */
  private begin(lease: HandedLease): number {
    const env = { ...process.env, NESTOR_LEASE: JSON.stringify(lease), PUSHED_URL: this.databaseUrl, NO_COLOR: '1' };
    const child = fork(this.program.file, [], { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'], env });
    this.children.add(child);
    child.once('exit', () => this.children.delete(child));
    return child.pid!;
  }
}

/** Begins the run, and tells in which process. */
const accept: Answer = (_, response, start) => {
  response.writeHead(202, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ identifier: `process-${start()}` }));
};

/** Answers with a status, and begins nothing. */
export function refuse(status: number, text = '', headers: Record<string, string> = {}): Answer {
  return (_, response) => void response.writeHead(status, headers).end(text);
}
