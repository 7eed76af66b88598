import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** What a program in a process of its own is asked to do. */
interface ChildRequest {
  readonly url: string;
  readonly n: number;
}

/**
 * Starts one of the programs beside this file and waits for its one answer. Killed in the end, if it has not ended.
 *
 * @param use what to do with the answer while the program is still there.
 */
export async function askChild<Answer, T>(
  program: string,
  request: ChildRequest,
  use: (answer: Answer, child: ChildProcess) => Promise<T>,
): Promise<T> {
  const child = fork(join(__dirname, program), { stdio: ['ignore', 2, 2, 'ipc'] });
  const exited = once(child, 'exit');
  try {
    child.send(request);
    const answer = await Promise.race([
      once(child, 'message').then(([message]) => message as Answer),
      exited.then(([code, signal]) => {
        throw new Error(`"${program}" ended without an answer (${signal ?? `exit code ${code}`}).`);
      }),
    ]);
    return await use(answer, child);
  } finally {
    child.kill('SIGKILL');
    await exited;
  }
}

/** The other side: what a program does with the request, and its answer. Ends with whoever started it. */
export function answerParent<Answer>(work: (request: ChildRequest) => Promise<Answer>): void {
  process.once('disconnect', () => process.exit(1));
  process.once('message', (request: ChildRequest) => {
    work(request).then(
      (answer) => process.send?.(answer),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  });
}
