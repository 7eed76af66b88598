import type { LoggerService } from '@nestjs/common';

interface LoggedLine {
  readonly level: 'debug' | 'log' | 'warn' | 'error' | 'fatal';
  readonly context: string;
  readonly message: string;
}

/** Prints nothing, and keeps what was logged. */
export class RecordingLogger implements LoggerService {
  readonly lines: LoggedLine[] = [];

  readonly debug = this.recorder('debug');
  readonly log = this.recorder('log');
  readonly warn = this.recorder('warn');
  readonly error = this.recorder('error');
  readonly fatal = this.recorder('fatal');

  private recorder(level: LoggedLine['level']) {
    // Nest puts the context last; before it an error may have its stack.
    return (message: unknown, ...rest: unknown[]): void => {
      const context = rest.at(-1);
      this.lines.push({ level, context: typeof context === 'string' ? context : '', message: String(message) });
    };
  }
}
