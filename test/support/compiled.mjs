import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import swc from '@swc/core';
import { requireInstalledPackages, root } from '../../scripts/build-inputs.mjs';

/**
 * Builds the package, then the program of a folder of tests, and starts its `main.ts` in this process.
 *
 * It is compiled with the settings of the build into `dist/`, beside the libraries: there `@nestor/orchestrator` is the
 * built package, the code that users run. No package contains `dist/test`.
 */
export async function runCompiled(folder) {
  requireInstalledPackages();
  const build = join(root, 'scripts', 'build.mjs');
  // Standard output is for results alone.
  const { status } = spawnSync(process.execPath, [build, '--runtime-only', '--if-stale'], { stdio: ['ignore', 2, 2] });
  if (status !== 0) process.exit(status ?? 1);

  const compiled = join(root, 'dist', relative(root, folder));
  compile(folder, compiled);
  const [node, , ...args] = process.argv;
  process.argv = [node, join(compiled, 'main.js'), ...args];
  await import(pathToFileURL(join(compiled, 'main.js')).href);
}

/** Compiles the sources of a folder into another one, with the settings of the build. */
export function compile(from, to) {
  const { $schema, exclude, ...options } = JSON.parse(readFileSync(join(root, '.swcrc'), 'utf8'));
  options.jsc.baseUrl = resolve(root, options.jsc.baseUrl);
  rmSync(to, { recursive: true, force: true });
  for (const path of readdirSync(from, { recursive: true }).filter((name) => name.endsWith('.ts'))) {
    const target = join(to, path.replace(/\.ts$/, '.js'));
    const { code, map } = swc.transformFileSync(join(from, path), {
      ...options,
      swcrc: false,
      sourceFileName: relative(dirname(target), join(from, path)).replaceAll('\\', '/'),
      outputPath: target,
    });
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, `${code}\n//# sourceMappingURL=${relative(dirname(target), `${target}.map`)}`);
    writeFileSync(`${target}.map`, map);
  }
}
