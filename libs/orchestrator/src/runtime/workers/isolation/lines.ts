import { StringDecoder } from 'node:string_decoder';
import type { Readable } from 'node:stream';

/** A line that grows beyond this is passed on in pieces. */
const MAX_LINE = 100_000;

/** Passes on what comes out of a stream line by line; resolves when it has ended. Never rejects. */
export function eachLine(stream: Readable, take: (line: string) => void): Promise<void> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  const pass = (line: string): void => {
    if (line.trim() !== '') take(line);
  };
  stream.on('data', (chunk: Buffer) => {
    const lines = (rest + decoder.write(chunk)).split(/\r?\n/);
    rest = lines.pop() ?? '';
    for (const line of lines) pass(line);
    for (; rest.length > MAX_LINE; rest = rest.slice(MAX_LINE)) pass(rest.slice(0, MAX_LINE));
  });
  return new Promise((resolve) => {
    const end = (): void => {
      pass(rest + decoder.end());
      rest = '';
      resolve();
    };
    stream.once('end', end);
    stream.once('error', end);
  });
}
