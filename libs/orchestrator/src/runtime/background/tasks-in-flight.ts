import { Injectable } from '@nestjs/common';

/** The background task runs that this process has taken and not let go of, by id. */
@Injectable()
export class TasksInFlight {
  private readonly tasks = new Map<string, Promise<void>>();
  private lastWork: Promise<unknown> = Promise.resolve();

  /** Notes a run; the function that is returned takes it off again. */
  add(taskRunId: string): () => void {
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    this.tasks.set(taskRunId, ended);
    return () => {
      if (this.tasks.get(taskRunId) === ended) this.tasks.delete(taskRunId);
      end();
    };
  }

  has(taskRunId: string): boolean {
    return this.tasks.has(taskRunId);
  }

  /** Resolves when this process has let go of the run; `undefined` when it does not have it. */
  endOf(taskRunId: string): Promise<void> | undefined {
    return this.tasks.get(taskRunId);
  }

  get size(): number {
    return this.tasks.size;
  }

  /**
   * Does works one after another that take runs, or look for runs that were taken: in between, what was taken and is not
   * noted here is what nobody knows of.
   */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const done = this.lastWork.then(work);
    this.lastWork = done.catch(() => undefined); // whoever asked for it hears of it
    return done;
  }
}
