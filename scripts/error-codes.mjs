// Writes docs/error-codes.md from the error classes and their documentation; with --check, says whether it is up to date.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('..', import.meta.url));
const target = join(root, 'docs', 'error-codes.md');

function sources(directory) {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.spec.ts'))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** The classes of a file that carry a literal `code`, with the text of their documentation. */
function errorsOf(file) {
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
  return source.statements.filter(ts.isClassDeclaration).flatMap((node) => {
    const code = node.members.find((member) => ts.isPropertyDeclaration(member) && member.name.getText() === 'code');
    if (!code?.initializer || !ts.isStringLiteral(code.initializer)) return [];
    const [documentation] = node.getChildren().filter(ts.isJSDoc);
    const text = ts.getTextOfJSDocComment(documentation?.comment) ?? '';
    if (text === '') throw new Error(`${relative(root, file)}: ${node.name.getText()} says nothing about itself.`);
    return { code: code.initializer.text, name: node.name.getText(), text: text.replace(/\s+/g, ' ') };
  });
}

const library = sources(join(root, 'libs')).flatMap(errorsOf);
const bundled = sources(join(root, 'src')).flatMap(errorsOf);

const table = (errors) =>
  [
    '| code | class | when |',
    '|---|---|---|',
    ...errors
      .sort((a, b) => (a.code < b.code ? -1 : 1))
      .map(({ code, name, text }) => `| \`${code}\` | \`${name}\` | ${text.replaceAll('|', '\\|')} |`),
  ].join('\n');

const text = `# Error codes

Every error we throw on purpose extends \`OrchestratorError\` and has a \`code\` that never changes once released. Match on the code, not on
the message; the message says which thing is concerned and what to do.

## The package

All of these classes are exported, by \`nestor\`, \`nestor/schedule\` or \`nestor/testing\`.

${table(library)}

## The bundled orchestrator and its example

${table(bundled)}
`;

if (process.argv.includes('--check')) {
  if (readFileSync(target, 'utf8') !== text) {
    console.error('docs/error-codes.md does not say what the sources say; run: node scripts/error-codes.mjs');
    process.exit(1);
  }
} else {
  writeFileSync(target, text);
}
