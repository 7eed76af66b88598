import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const REPOSITORY = resolve(__dirname, '../../..');

/**
 * A block of TypeScript in the documentation.
 *
 * Every block that says `ts` has to compile. What it needs and does not show stands before it, in a comment that readers of the
 * page do not see, and holds for the blocks below until the next such comment:
 *
 *     <!-- given
 *     declare const flows: Flows;
 *     -->
 *
 * Names that we, Nest, class-validator and class-transformer export need no import there, nor in a block that shows none. A
 * class `This` among what is given is that of `this`. A block may be the members of a class, statements with or without
 * `await`, or a file of its own, whose name is in a comment on its first line, so that others of the page can import it.
 * `{ … }` stands for code that is left out.
 *
 * A block that says `ts run` is a program: it is executed, and what it prints has to be the `text` block below it, if there is
 * one, in which `…` stands for any text within a line.
 */
export interface Snippet {
  /** `docs/control.md`. */
  readonly page: string;
  /** Of its first line of code, from 1. */
  readonly line: number;
  readonly text: string;
  /** Its own name as a file; `null` for most. */
  readonly file: string | null;
  readonly given: string;
  readonly runs: boolean;
  /** What it prints; `null` when the page does not say. */
  readonly output: string | null;
}

/** The snippets of all pages. */
export function allSnippets(): Snippet[] {
  // The tutorial shows the code of an application that is compiled and run as a whole: see `scripts/tutorial.mjs`.
  const docs = readdirSync(join(REPOSITORY, 'docs')).filter((name) => name.endsWith('.md') && name !== 'tutorial.md');
  const pages = ['README.md', ...docs.sort().map((name) => `docs/${name}`)];
  return pages.flatMap((page) => snippetsOf(page, readFileSync(join(REPOSITORY, page), 'utf8')));
}

export function snippetsOf(page: string, markdown: string): Snippet[] {
  const snippets: Snippet[] = [];
  let given = '';
  const parts = /^```(?<info>[^\n]*)\n(?<code>.*?)^```$|^<!-- given\n(?<given>.*?)^-->$/gms;
  for (const { groups = {}, index } of markdown.matchAll(parts)) {
    const { info, code = '' } = groups;
    const last = snippets.at(-1);
    if (groups.given !== undefined) {
      given = groups.given;
    } else if (info === 'text' && last?.runs && last.output === null) {
      snippets[snippets.length - 1] = { ...last, output: code };
    } else if (info === 'ts' || info === 'ts run') {
      const line = markdown.slice(0, index).split('\n').length + 1;
      const file = /^\/\/ ([\w./-]+)\.ts\n/.exec(code)?.[1] ?? null;
      snippets.push({ page, line, text: code, file, given, runs: info === 'ts run', output: null });
    }
  }
  return snippets;
}
