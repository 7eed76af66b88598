import { readFileSync } from 'node:fs';

const START = '<!-- quickstart:start -->';
const END = '<!-- quickstart:end -->';

/**
 * The quickstart of a document, to be followed to the letter: the packages it installs, and the files it shows.
 *
 * Between the markers, a `ts` block whose first line is a comment with a file name is the whole of that file in `src`.
 * The command that installs the package stands there too, or before.
 *
 * @returns {{ packages: string[], files: Map<string, string> }}
 */
export function readQuickstart(path) {
  const text = readFileSync(path, 'utf8');
  const [before, section] = text.split(START);
  if (!section?.includes(END)) throw new Error(`${path} has no "${START}" … "${END}".`);
  const [quickstart] = section.split(END);

  const [, install] = /^npm install ((?:.* )?nestor(?: .*)?)$/m.exec(`${before}${quickstart}`) ?? [];
  if (!install) throw new Error(`${path} does not say "npm install nestor" where its quickstart ends.`);

  const files = new Map();
  for (const [, block] of quickstart.matchAll(/^```ts\n(.*?)^```$/gms)) {
    const [, file] = /^\/\/ (?:src\/)?([\w.-]+\.ts)\n/.exec(block) ?? [];
    if (file) files.set(file, block);
  }
  if (files.size === 0) throw new Error(`The quickstart of ${path} shows no file.`);
  return { packages: install.trim().split(/\s+/), files };
}

/** How many lines one has to write: those that a fresh application does not have in the file of that name already. */
export function countAddedLines({ files }, readFresh) {
  let added = 0;
  for (const [file, text] of files) {
    const fresh = codeLines(readFresh(file));
    for (const line of codeLines(text).slice(1)) {
      const known = fresh.indexOf(line);
      if (known < 0) added += 1;
      else fresh.splice(known, 1);
    }
  }
  return added;
}

function codeLines(text) {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}
