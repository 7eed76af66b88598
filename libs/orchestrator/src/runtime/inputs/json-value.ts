import { UnserialisableValueError } from '@nestor/core';

/**
 * A value as JSON has it, which is what inputs are: any client may send and read them. Dates become texts, instances become
 * their fields.
 *
 * @throws {UnserialisableValueError} when it has no such form.
 */
export function jsonValue(value: unknown, subject: string): unknown {
  const refusal = { subject, path: '$', remedy: 'send what JSON can hold' };
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw new UnserialisableValueError({ ...refusal, found: 'nothing that JSON can hold' }, { cause: error });
  }
  if (text === undefined) throw new UnserialisableValueError({ ...refusal, found: typeof value });
  return JSON.parse(text);
}
