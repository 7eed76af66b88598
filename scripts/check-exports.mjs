/**
 * Lists the exports that nobody imports. What a spec imports counts as used; what only its own file uses does not: drop
 * the `export`. An export that is used in a way this cannot see is marked `// ts-unused-exports:disable-next-line`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { analyzeTsConfig } from 'ts-unused-exports';

/** Files that others reach without an import of ours: what we publish, what Node, Jest or TypeORM starts. */
const ROOTS = [
  /^libs\/[^/]+\/src\/index\.ts$/,
  /^src\/(main|demo|run\.application)\.ts$/,
  /^migrations\//,
  /\.(spec|test-d|bench)\.ts$/,
  /^test\/support\/(global-(setup|teardown)|lease-thread-file)\.ts$/,
];

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { unusedExports } = analyzeTsConfig(join(root, 'tsconfig.json'));

/** The library does not follow `await import('./x.js')`; whatever such a file exports counts as used. */
const loadedDynamically = new Set(
  ['src', 'libs', 'migrations', 'test'].flatMap(typeScriptFiles).flatMap((path) => {
    const specifiers = readFileSync(path, 'utf8').matchAll(/\b(?:import|require)\(\s*['"](\.[^'"]+)['"]\s*\)/g);
    return Array.from(specifiers, ([, specifier]) => resolve(dirname(path), specifier.replace(/\.js$/, '.ts')));
  }),
);

function typeScriptFiles(folder) {
  try {
    return readdirSync(join(root, folder), { recursive: true })
      .filter((path) => path.endsWith('.ts') && !path.includes('node_modules'))
      .map((path) => join(root, folder, path));
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw error;
  }
}

const dead = Object.entries(unusedExports)
  .filter(([file]) => !loadedDynamically.has(resolve(file)))
  .map(([file, names]) => [relative(root, file).replaceAll('\\', '/'), names])
  .filter(([file]) => !ROOTS.some((pattern) => pattern.test(file)))
  .flatMap(([file, names]) =>
    names.map(({ exportName, location }) => `${file}${location ? `:${location.line}` : ''}  ${exportName}`),
  )
  .sort();

if (dead.length > 0) {
  console.error(
    `${dead.join('\n')}\n\n${dead.length} exported, but imported by nobody: remove them, or the word "export".`,
  );
  process.exitCode = 1;
}
