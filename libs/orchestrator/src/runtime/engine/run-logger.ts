import { LogLevel } from './run-logs.js';

/** Logs on behalf of a run: lines are kept with the run, in batches, and passed on to Nest's logger. */
export class RunLogger {
  /** @internal */
  constructor(private readonly append: (level: number, message: string) => void) {}

  debug(message: string): void {
    this.append(LogLevel.Debug, message);
  }

  /** What a reader of the run wants to know; level 20 ("info"). */
  log(message: string): void {
    this.append(LogLevel.Info, message);
  }

  warn(message: string): void {
    this.append(LogLevel.Warning, message);
  }

  error(message: string): void {
    this.append(LogLevel.Error, message);
  }

  fatal(message: string): void {
    this.append(LogLevel.Critical, message);
  }
}
