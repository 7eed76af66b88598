import { format } from 'node:util';
import { LogLevel } from './run-logs.js';
import { currentScope, outsideAnyScope } from './run-scope.js';

const LEVELS = {
  debug: LogLevel.Debug,
  trace: LogLevel.Debug,
  log: LogLevel.Info,
  info: LogLevel.Info,
  warn: LogLevel.Warning,
  error: LogLevel.Error,
} as const;

type Print = (...values: unknown[]) => void;

const capturing = new WeakSet<Print>();

/**
 * Whether what a run prints to the console goes to its log: as it says itself, else as whoever called it. The methods of the
 * console are replaced the first time that is asked for; a process in which nobody asks keeps its console.
 */
export function capturesConsole(settings: { readonly captureConsole: boolean | null }): boolean {
  const captures = settings.captureConsole ?? currentScope()?.place.capturesConsole ?? false;
  if (captures) captureConsole();
  return captures;
}

function captureConsole(): void {
  const methods = globalThis.console as unknown as Record<keyof typeof LEVELS, Print>;
  for (const name of Object.keys(LEVELS) as (keyof typeof LEVELS)[]) {
    const print = methods[name];
    if (capturing.has(print)) continue; // not for ever: others replace and restore them too
    const capture: Print = (...values) => {
      const scope = currentScope();
      if (!scope?.place.capturesConsole) return print.apply(globalThis.console, values);
      // A logger that itself prints to the console is outside the run, now and later: its line is not captured again.
      outsideAnyScope(() => scope.log(LEVELS[name], format(...values)));
    };
    capturing.add(capture);
    methods[name] = capture;
  }
}
