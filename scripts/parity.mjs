// Writes docs/parity.md: which test shows which row of scripts/parity-rows.mjs, told by the ids in the names of tests, such as
// `it('gives the same run for the same key [F24]', …)`. With --check, says whether the file is up to date.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { AREAS, COMPLETE, REASONS } from './parity-rows.mjs';

/** Tests that are named per row; the rest are counted. */
const NAMED = 3;
const MOST_REASONS = 15;

const root = fileURLToPath(new URL('..', import.meta.url));
const target = join(root, 'docs', 'parity.md');

const specs = ['libs', 'src', 'test']
  .flatMap((folder) => readdirSync(join(root, folder), { recursive: true, withFileTypes: true }))
  .filter((entry) => entry.isFile() && entry.name.endsWith('.spec.ts') && !entry.parentPath.includes('node_modules'))
  .map((entry) => join(entry.parentPath, entry.name))
  .sort();

/** `it`, `test` or `describe` of a call that gives a title: `it('…')`, `it.each(…)('…')`, `describe.each<…>(…)('…')`. */
function isTitled(call) {
  let callee = call.expression;
  if (ts.isCallExpression(callee) || ts.isTaggedTemplateExpression(callee)) {
    const table = ts.isCallExpression(callee) ? callee.expression : callee.tag;
    if (!ts.isPropertyAccessExpression(table) || table.name.text !== 'each') return false;
    callee = table.expression;
  }
  while (ts.isPropertyAccessExpression(callee)) callee = callee.expression;
  return ts.isIdentifier(callee) && ['it', 'test', 'describe'].includes(callee.text);
}

/** The text of a title; what is filled in when the tests run is left open. */
function textOf(node) {
  if (node === undefined) return null;
  if (ts.isStringLiteralLike(node)) return node.text;
  if (!ts.isTemplateExpression(node)) return null;
  return node.head.text + node.templateSpans.map(({ literal }) => `…${literal.text}`).join('');
}

/** The texts that the rows of a table begin with: `it.each([['once [F24]', 1], …])('works %s', …)`. */
function rowsOf({ expression }) {
  const [table] = ts.isCallExpression(expression) ? expression.arguments : [];
  if (table === undefined || !ts.isArrayLiteralExpression(table)) return [];
  const texts = table.elements.map((row) => textOf(ts.isArrayLiteralExpression(row) ? row.elements[0] : row));
  return texts.filter((text) => text !== null);
}

const idsIn = (title) => Array.from(title.matchAll(/\[([A-Z]\d\d)\]/g), ([, id]) => id);
const withoutIds = (title) => title.replace(/\s*\[[A-Z]\d\d\]/g, '').replace(/%[sdifjop#]/g, '…');

/** The tests of a file whose names carry ids: `{ id, file, title }` for each id. */
function claimsOf(file) {
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest);
  const claims = [];
  const visit = (node, around) => {
    let within = around;
    if (ts.isCallExpression(node) && isTitled(node)) {
      const title = textOf(node.arguments[0]);
      if (title !== null) {
        within = [...around, withoutIds(title)];
        const claim = (id, full) =>
          claims.push({ id, file: relative(root, file).replaceAll('\\', '/'), within: [...around, withoutIds(full)] });
        for (const id of idsIn(title)) claim(id, title);
        for (const row of rowsOf(node))
          for (const id of idsIn(row))
            claim(
              id,
              title.replace('%s', () => row),
            );
      }
    }
    ts.forEachChild(node, (child) => visit(child, within));
  };
  visit(source, []);
  return claims;
}

const claims = specs.flatMap(claimsOf);
const tests = new Map(AREAS.flatMap(({ rows }) => rows.map(({ id }) => [id, []])));
const problems = [];
for (const claim of claims) {
  if (tests.has(claim.id)) tests.get(claim.id).push(claim);
  else problems.push(`${claim.file}: "${claim.within.join(' ')}" is said to show ${claim.id}, which is no row.`);
}
for (const id of Object.keys(REASONS))
  if (!tests.has(id)) problems.push(`There is a reason for ${id}, which is no row.`);
if (Object.keys(REASONS).length > MOST_REASONS) problems.push(`More than ${MOST_REASONS} rows have a reason.`);

const statusOf = ({ id }) => (tests.get(id).length > 0 ? 'covered' : id in REASONS ? 'reasoned' : 'open');
for (const { letter, rows } of AREAS.filter((area) => COMPLETE.includes(area.letter))) {
  const open = rows.filter((row) => statusOf(row) === 'open').map(({ id }) => id);
  if (open.length > 0) problems.push(`Area ${letter} is complete, but these rows are open: ${open.join(', ')}.`);
}
if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exit(1);
}

const cell = (text) => text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replace(/\s+/g, ' ');
const linked = ({ file, within }) => `[${basename(file)}](../${file}): ${cell(within.join(' › '))}`;

function evidenceOf(row) {
  const status = statusOf(row);
  if (status === 'open') return 'open';
  if (status === 'reasoned') return `not in this form: ${cell(REASONS[row.id])}`;
  const all = tests.get(row.id);
  const more = all.length > NAMED ? [`and ${all.length - NAMED} more`] : [];
  return [...all.slice(0, NAMED).map(linked), ...more].join('<br>');
}

const counted = (rows) =>
  ['covered', 'reasoned', 'open'].map((status) => rows.filter((row) => statusOf(row) === status).length);
const summary = AREAS.map(
  ({ letter, title, rows }) => `| ${[letter, title, rows.length, ...counted(rows)].join(' | ')} |`,
);
const everything = AREAS.flatMap(({ rows }) => rows);

const tables = AREAS.map(
  ({ letter, title, rows }) => `## ${letter}: ${title}

| row | | feature | shown by |
|---|---|---|---|
${rows.map((row) => `| ${row.id} | ${row.tag} | ${cell(row.feature)} | ${evidenceOf(row)} |`).join('\n')}
`,
);

const text = `# Parity

What Prefect 3 gives its users, row by row, and the test that shows the same here. A row is covered when the name of a test carries
its id. P: to be equalled; B: what Prefect lacks or does badly, to be done better; C: what only its cloud service has. This page is
made from the names of the tests: \`npm run docs\`.

| area | | rows | covered | not in this form | open |
|---|---|---|---|---|---|
${summary.join('\n')}
| | **all** | ${[everything.length, ...counted(everything)].map((count) => `**${count}**`).join(' | ')} |

${tables.join('\n')}`;

if (process.argv.includes('--check')) {
  if (!existsSync(target) || readFileSync(target, 'utf8') !== text) {
    console.error('docs/parity.md does not say what the tests say; run: node scripts/parity.mjs');
    process.exit(1);
  }
} else {
  writeFileSync(target, text);
}
