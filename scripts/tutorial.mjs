// Fills the code of the tutorial's application into docs/tutorial.md, where a comment names a class of it; with --check it
// only says whether that is up to date.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = join(fileURLToPath(import.meta.url), '../..');
const page = join(root, 'docs/tutorial.md');
const MARK = /<!-- (\S+): (\w+) -->\n(?:```ts\n[\s\S]*?\n```\n)?/g;

/** A class as it is written, with its decorators and its comment. */
function codeOf(file, name) {
  const text = readFileSync(join(root, file), 'utf8');
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const found = source.statements.find(
    (statement) => ts.isClassDeclaration(statement) && statement.name?.text === name,
  );
  if (!found) throw new Error(`${file} has no class ${name}.`);
  return text.slice(found.getStart(source, true), found.end).trim();
}

const before = readFileSync(page, 'utf8');
const after = before.replace(
  MARK,
  (_, file, name) => `<!-- ${file}: ${name} -->\n\`\`\`ts\n${codeOf(file, name)}\n\`\`\`\n`,
);
if (process.argv.includes('--check')) {
  if (after !== before) {
    console.error('docs/tutorial.md does not show the code as it is; run "npm run docs".');
    process.exit(1);
  }
} else if (after !== before) writeFileSync(page, after);
