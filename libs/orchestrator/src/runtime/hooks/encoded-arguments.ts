import { UnserialisableValueError } from '@nestor/core';
import type { Payloads } from '../payloads/payloads.service.js';

/** Arguments as hooks are told them: those that have no form are `undefined`, and the others stay in their places. */
export function encodedArguments(
  args: readonly unknown[],
  payloads: Pick<Payloads, 'encode'>,
  subject: string,
): string {
  try {
    return payloads.encode(args, subject);
  } catch (error) {
    if (!(error instanceof UnserialisableValueError)) throw error;
    return payloads.encode(
      args.map((argument) => (hasForm(argument, payloads, subject) ? argument : undefined)),
      subject,
    );
  }
}

function hasForm(argument: unknown, payloads: Pick<Payloads, 'encode'>, subject: string): boolean {
  try {
    payloads.encode(argument, subject);
    return true;
  } catch (error) {
    if (error instanceof UnserialisableValueError) return false;
    throw error;
  }
}
