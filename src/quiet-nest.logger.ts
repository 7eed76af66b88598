import { ConsoleLogger, type LogLevel } from '@nestjs/common';

/** Nest's account of how it puts the application together. */
const ASSEMBLY = ['NestFactory', 'InstanceLoader', 'RoutesResolver', 'RouterExplorer', 'NestApplication'];
/** Errors logged under these are thrown as well, and reported once, where the process ends because of them. */
const RETHROWN = ['NestApplication', 'ExceptionHandler'];

/** Nest's console logger without what Nest says about itself: what remains is about the orchestrator and its runs. */
export class QuietNestLogger extends ConsoleLogger {
  /**
   * @param logLevels the levels to print.
   * @param leftOut further contexts to print nothing of.
   */
  constructor(
    logLevels: LogLevel[],
    private readonly leftOut: readonly string[] = [],
  ) {
    super({ prefix: 'Nestor', logLevels });
  }

  override log(...line: [message: unknown, ...rest: unknown[]]): void {
    if (!this.isLeftOut(line, ASSEMBLY)) super.log(...line);
  }

  override warn(...line: [message: unknown, ...rest: unknown[]]): void {
    if (!this.isLeftOut(line, [])) super.warn(...line);
  }

  override error(...line: [message: unknown, ...rest: unknown[]]): void {
    if (!this.isLeftOut(line, RETHROWN)) super.error(...line);
  }

  /** Nest hands over the context as the last argument, after the message. */
  private isLeftOut([, ...rest]: readonly unknown[], contexts: readonly string[]): boolean {
    const context = rest.at(-1);
    return typeof context === 'string' && (contexts.includes(context) || this.leftOut.includes(context));
  }
}
