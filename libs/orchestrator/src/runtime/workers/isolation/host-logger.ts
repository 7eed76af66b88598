import { inspect } from 'node:util';
import type { LoggerService } from '@nestjs/common';
import type { LineLevel, RunNews } from './messages.js';

/** Nest's account of how it puts an application together, which is of interest once, not once per run. */
const ASSEMBLY = ['NestFactory', 'InstanceLoader'];

/** Nest's logger where a run is executed away from its worker: the worker prints the lines. */
export class HostLogger implements LoggerService {
  constructor(private readonly tell: (news: RunNews) => void) {}

  verbose(...line: unknown[]): void {
    this.pass('verbose', line);
  }

  debug(...line: unknown[]): void {
    this.pass('debug', line);
  }

  log(...line: unknown[]): void {
    if (!ASSEMBLY.includes(String(line.at(-1)))) this.pass('log', line);
  }

  warn(...line: unknown[]): void {
    this.pass('warn', line);
  }

  error(...line: unknown[]): void {
    this.pass('error', line);
  }

  fatal(...line: unknown[]): void {
    this.pass('fatal', line);
  }

  /** Nest hands over the context as the last argument, after the message and whatever else. */
  private pass(level: LineLevel, line: readonly unknown[]): void {
    const context = line.length > 1 ? String(line.at(-1)) : '';
    const parts = (line.length > 1 ? line.slice(0, -1) : line).filter((part) => part !== undefined);
    const text = parts.map((part) => (typeof part === 'string' ? part : inspect(part))).join(' ');
    this.tell({ kind: 'logged', level, context, text });
  }
}
