import type { JobEnd } from './base-worker.js';

/**
 * What exit codes mean that are not the program's own. Those above 128 are signals: see
 * https://tldp.org/LDP/abs/html/exitcodes.html
 */
const CODES: Readonly<Record<number, string>> = {
  125: 'the container could not be started',
  126: 'its command cannot be executed',
  127: 'its command was not found',
  134: 'it was aborted (SIGABRT), as a program that runs out of heap is',
  137: 'it was killed (SIGKILL), most likely because it was out of memory',
  139: 'it broke off at an invalid address (SIGSEGV)',
  143: 'it was asked to end (SIGTERM)',
};

const SIGNALS: Readonly<Record<string, number>> = { SIGABRT: 134, SIGKILL: 137, SIGSEGV: 139, SIGTERM: 143 };

/** What there is to say of infrastructure that ended otherwise than it should. */
export function explanationOf({ exitCode, signal, message }: JobEnd): string {
  if (message !== undefined) return message;
  const code = exitCode ?? (signal ? SIGNALS[signal] : undefined) ?? null;
  const meaning = code === null ? null : CODES[code];
  const ended = exitCode === null ? `with ${signal ?? 'neither code nor signal'}` : `with exit code ${exitCode}`;
  return `Its infrastructure ended ${ended}${meaning ? `: ${meaning}` : ''}.`;
}
