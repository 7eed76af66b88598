import { Injectable } from '@nestjs/common';
import { currentRun, Flow, Task } from '@nestor/orchestrator';

/** What is executed behind a URL, each run in a process that was started for it. */
@Injectable()
export class PushedFlows {
  @Flow({ name: 'pushed-tell' })
  async tell(word: string): Promise<{ pid: number; word: string }> {
    return { pid: await this.pid(), word };
  }

  @Task()
  async pid(): Promise<number> {
    return process.pid;
  }

  /** Until somebody ends it. */
  @Flow({ name: 'pushed-wait' })
  async wait(): Promise<void> {
    const { signal } = currentRun();
    await this.pid();
    await new Promise<void>((resolve) =>
      signal.addEventListener('abort', () => setTimeout(resolve, 300), { once: true }),
    );
  }
}
