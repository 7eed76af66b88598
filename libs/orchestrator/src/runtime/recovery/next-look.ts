/** When whoever takes runs has to look for some, apart from those that it is told of by their ids. */
export class NextLook {
  private isAskedFor = true;
  /** In the time of `performance.now()`. */
  private dueAt = -Infinity;

  get isDue(): boolean {
    return this.isAskedFor || performance.now() >= this.dueAt;
  }

  /** Somebody has told of runs, or may have; what is said of the time changes nothing about it. */
  askFor(): void {
    this.isAskedFor = true;
  }

  /** What was asked for is being done; another one is due until it is said when. */
  begin(): void {
    this.isAskedFor = false;
    this.dueAt = -Infinity;
  }

  isDueIn(ms: number): void {
    this.dueAt = performance.now() + ms;
  }
}
