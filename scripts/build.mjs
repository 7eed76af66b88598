/**
 * Builds `dist/`: `nest build` (SWC) for the JavaScript, then `tsc` and `tsc-alias` for the declarations.
 *
 *   --runtime-only   JavaScript only, by SWC directly: a tenth of the time, the same bytes
 *   --if-stale       nothing at all when dist is up to date
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import {
  buildInputs,
  removeStamp,
  requireInstalledPackages,
  root,
  sourceFiles,
  sourceFolders,
  staleness,
  writeStamp,
} from './build-inputs.mjs';
import { withBuildLock } from './build-lock.mjs';

const dist = join(root, 'dist');
const runtimeOnly = process.argv.includes('--runtime-only');

class BuildError extends Error {}

requireInstalledPackages();
process.chdir(root); // the compilers look for their settings there
try {
  await withBuildLock(async () => {
    if (process.argv.includes('--if-stale') && !staleness({ declarations: !runtimeOnly })) return;
    const inputs = buildInputs();
    if (runtimeOnly) {
      await compileChanged();
    } else {
      removeStamp();
      await run('@nestjs/cli', 'nest', 'build');
      await run('typescript', 'tsc', '-p', 'tsconfig.types.json');
      await run('tsc-alias', 'tsc-alias', '-p', 'tsconfig.types.json');
      checkDeclarations();
    }
    writeStamp(inputs, !runtimeOnly);
  });
} catch (error) {
  if (!(error instanceof BuildError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

/**
 * Compiles everything in memory, then brings `dist/` in line: nothing is touched when a source does not compile, and a
 * process that is just loading the previous build never misses a file.
 */
async function compileChanged() {
  const require = createRequire(import.meta.url);
  const swc = require('@swc/core');
  const { $schema, exclude, ...options } = JSON.parse(readFileSync(join(root, '.swcrc'), 'utf8'));
  options.jsc.baseUrl = resolve(root, options.jsc.baseUrl);

  const sources = sourceFolders.flatMap(sourceFiles).filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'));
  const compiled = await Promise.allSettled(
    sources.map(async (path) => {
      const target = join(dist, path.replace(/\.ts$/, '.js'));
      const sourceFileName = relative(dirname(target), join(root, path)).replaceAll('\\', '/');
      const { code, map } = await swc.transformFile(path, {
        ...options,
        swcrc: false,
        sourceFileName,
        outputPath: target,
      });
      const name = path.replace(/^.*\//, '').replace(/\.ts$/, '.js');
      return [
        [target, `${code}\n//# sourceMappingURL=${name}.map`],
        [`${target}.map`, map],
      ];
    }),
  );
  const failures = compiled.filter(({ status }) => status === 'rejected');
  if (failures.length > 0) {
    // SWC appends its own backtrace, which says nothing about the source.
    throw new BuildError(failures.map(({ reason }) => reason.message.split('\n\nCaused by:')[0].trim()).join('\n\n'));
  }

  removeStamp();
  const outputs = new Map(compiled.flatMap(({ value }) => value));
  for (const [path, text] of outputs) writeAtomically(path, text);
  for (const folder of sourceFolders) removeOthers(join(dist, folder), outputs);
}

function writeAtomically(path, text) {
  try {
    if (readFileSync(path, 'utf8') === text) return;
  } catch {
    mkdirSync(dirname(path), { recursive: true });
  }
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

/** Deletes what no source stands behind any more; declarations too, which would describe an older build. */
function removeOthers(folder, outputs) {
  for (const entry of entriesOf(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) removeOthers(path, outputs);
    else if (!outputs.has(path)) rmSync(path);
  }
  if (entriesOf(folder).length === 0) rmSync(folder, { recursive: true, force: true });
}

function entriesOf(folder) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw error;
  }
}

/** A host resolves the declarations without our tsconfig.json: only packages and existing relative files may be named. */
function checkDeclarations() {
  const problems = [];
  const declarations = new Set(
    readdirSync(dist, { recursive: true })
      .filter((path) => path.endsWith('.d.ts'))
      .map((path) => join(dist, path)),
  );
  for (const path of declarations) {
    const text = readFileSync(path, 'utf8');
    const place = relative(root, path);
    if (text.includes('@nestor/')) problems.push(`${place}: an alias is left (@nestor/…)`);
    for (const [, specifier] of text.matchAll(/(?:from|import)\s*\(?\s*['"](\.{1,2}(?:\/[^'"]*)?)['"]/g)) {
      const target = join(dirname(path), specifier.replace(/\.js$/, '.d.ts'));
      if (!specifier.endsWith('.js')) problems.push(`${place}: "${specifier}" does not end in .js`);
      else if (!declarations.has(target)) problems.push(`${place}: "${specifier}" does not exist`);
    }
  }
  if (problems.length > 0) throw new BuildError(`The declarations are not usable by a host:\n${problems.join('\n')}`);
}

/** Runs the command that an installed package brings, by Node itself: `.bin` holds shell scripts on Windows. */
async function run(packageName, command, ...args) {
  const folder = join(root, 'node_modules', packageName);
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const script = join(folder, typeof bin === 'string' ? bin : bin[command]);
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'inherit', 'inherit'] });
  // Else a child would go on writing into dist after the lock is gone.
  const stop = (signal) => child.kill(signal);
  process.on('SIGINT', stop).on('SIGTERM', stop);
  const [code, signal] = await new Promise((done, failed) => {
    child.once('error', failed);
    child.once('exit', (...outcome) => done(outcome));
  });
  process.off('SIGINT', stop).off('SIGTERM', stop);
  if (code !== 0) throw new BuildError(`"${command} ${args.join(' ')}" failed (${signal ?? `exit code ${code}`}).`);
}
