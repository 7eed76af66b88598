/**
 * What `dist/` was built from, and whether that is still what lies in the tree.
 *
 * Read by every `npm start`, so it costs a few milliseconds: sizes and modification times, no contents. The stamp lists
 * every input, therefore a file that came, went or moved is noticed as well as one that changed.
 */
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
export const sourceFolders = ['src', 'libs', 'migrations'];

const SETTINGS = [
  '.swcrc',
  'nest-cli.json',
  'package-lock.json',
  'scripts/build.mjs',
  'tsconfig.build.json',
  'tsconfig.json',
  'tsconfig.types.json',
];
const TEST = /\.(spec|test-d)\.ts$/;
const stamp = join(root, 'dist', '.build');

/** Paths of the sources below `folder`, relative to the root, with `/` on every system; tests are left out. */
export function sourceFiles(folder) {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : sourceFiles(path);
    return TEST.test(path) ? [] : [path];
  });
}

/** Every input of a build with its size and modification time. Taken before a build, so that edits during it count. */
export function buildInputs() {
  const inputs = {};
  for (const path of [...SETTINGS, ...sourceFolders.flatMap(sourceFiles)]) {
    const file = statSync(join(root, path), { throwIfNoEntry: false });
    if (file) inputs[path] = `${file.size} ${file.mtimeMs}`;
  }
  return inputs;
}

/**
 * Why `dist/` has to be built again, in words; `undefined` when it is up to date.
 *
 * @param declarations whether it has to hold those as well.
 */
export function staleness({ declarations = false } = {}) {
  let built;
  let isDeclared;
  try {
    ({ inputs: built, declarations: isDeclared } = JSON.parse(readFileSync(stamp, 'utf8')));
  } catch {
    return existsSync(join(root, 'dist')) ? 'dist is unfinished' : 'there is no dist';
  }
  if (declarations && !isDeclared) return 'dist has no declarations';
  const present = buildInputs();
  for (const path in present) {
    if (!(path in built)) return `${path} is new`;
    if (built[path] !== present[path]) return `${path} has changed`;
  }
  const gone = Object.keys(built).find((path) => !(path in present));
  return gone && `${gone} is gone`;
}

/** Says of `dist/` that it holds the build of these inputs, complete. */
export function writeStamp(inputs, declarations) {
  writeFileSync(stamp, JSON.stringify({ declarations, inputs }, undefined, 1));
}

/** Says of `dist/` that nobody may rely on it. */
export function removeStamp() {
  rmSync(stamp, { force: true });
}

/** Ends the process with a sentence instead of a stack when it cannot go on. */
export function requireInstalledPackages() {
  if (existsSync(join(root, 'node_modules'))) return;
  console.error('The packages are not installed: run "npm ci" first.');
  process.exit(1);
}
