import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join, posix, relative, sep } from 'node:path';

/** What may be in the package; a source, a test, an example or a tool is none of these. */
const EXPECTED = [
  /^(package\.json|LICENSE|README\.md|CHANGELOG\.md)$/,
  /^dist\/(libs\/[^/]+\/src|migrations)\/(?!.*\.(spec|test-d|bench)\.)[^.]+(\.[\w-]+)*\.(js|js\.map|d\.ts)$/,
];

/** Modules that look for optional peers and do without them where they are not installed. */
const TOLERANT = ['validator-packages.js'];
/** What is imported by itself, by those who have an optional peer, and needs it. */
const OPT_IN = [{ folder: 'dist/libs/schedule/', peer: '@nestjs/schedule' }];

/**
 * The checks of an unpacked tarball, by name. Each throws when the package is not as hosts need it.
 *
 * @param folder where the package was unpacked.
 * @param checkout where it was built; nothing in the package may name it.
 */
export function tarballChecks(folder, checkout) {
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll(sep, '/'));
  const texts = new Map(paths.map((path) => [path, readFileSync(join(folder, path), 'utf8')]));
  const named = (suffix) => paths.filter((path) => path.endsWith(suffix));
  const manifest = JSON.parse(texts.get('package.json'));
  const targets = [manifest.main, manifest.types, ...leaves(manifest.exports), ...leaves(manifest.typesVersions ?? {})];
  const entries = (suffix) => targets.filter((target) => target.endsWith(suffix)).map((path) => posix.normalize(path));

  return {
    'holds the compiled libraries and migrations, and nothing else': () =>
      none(paths.filter((path) => !EXPECTED.some((pattern) => pattern.test(path)))),

    'holds no module that nobody can reach': () => {
      const loaded = reachable(entries('.js'), texts);
      // A module of types alone is reached by the declarations of what is loaded.
      const declarations = [...entries('.d.ts'), ...loaded.map((path) => path.replace(/\.js$/, '.d.ts'))];
      const declared = reachable(declarations, texts).map((path) => path.replace(/\.d\.ts$/, '.js'));
      const used = new Set([...declared, ...loaded]);
      none(named('.js').filter((path) => !used.has(path)));
    },

    'has its licence, README and change log': () =>
      none(['LICENSE', 'README.md', 'CHANGELOG.md'].filter((path) => !texts.has(path))),

    'has every file that package.json leads to': () =>
      none(targets.filter((target) => !texts.has(posix.normalize(target)))),

    'declares every module, with the comments': () => {
      none(named('.js').filter((path) => !texts.has(path.replace(/\.js$/, '.d.ts'))));
      const flow = [...texts.values()].find((text) => /export declare function Flow[<(]/.test(text));
      assert.match(flow, /\*\/\s*export declare function Flow[<(]/);
    },

    'has no alias of the sources left': () =>
      none([...named('.js'), ...named('.d.ts')].filter((path) => /['"]@nestor\//.test(texts.get(path)))),

    'names no path of the machine that built it': () =>
      none(
        paths.filter((path) =>
          ['dist', 'libs', 'migrations', 'node_modules', 'src'].some((name) =>
            texts.get(path).includes(`${checkout}/${name}/`),
          ),
        ),
      ),

    'has source maps that stay inside the package': () =>
      none(
        named('.js.map').filter((path) => {
          const { sources, sourcesContent = [], mappings } = JSON.parse(texts.get(path));
          const outside = (source) => /^(\.\.)?\/|^\w+:/.test(posix.join(posix.dirname(path), source));
          return sources.some(outside) || (mappings !== '' && sourcesContent.length !== sources.length);
        }),
      ),

    'requires only packages that a host has by installing it': () =>
      none(
        named('.js').flatMap((path) =>
          undeclared(texts.get(path), /\b(?:require|import)\(["']([^."'][^"']*)["']\)/g, {
            tolerant: TOLERANT.some((name) => path.endsWith(`/${name}`)),
            optedIn: OPT_IN.filter(({ folder }) => path.startsWith(folder)).map(({ peer }) => peer),
          }),
        ),
      ),

    'has declarations that need no types but those of its peers': () =>
      none(
        reachable(entries('.d.ts'), texts).flatMap((path) =>
          undeclared(texts.get(path), /(?:from\s*|import\()["']([^."'][^"']*)["']/g, {
            typed: true,
            optedIn: OPT_IN.filter(({ folder }) => path.startsWith(folder)).map(({ peer }) => peer),
          }),
        ),
      ),
  };

  /** The packages that `text` imports without a right to: not declared, or declared and without types of their own. */
  function undeclared(text, specifiers, { typed = false, tolerant = false, optedIn = [] } = {}) {
    const optional = (name) => manifest.peerDependenciesMeta?.[name]?.optional;
    const available = [
      ...Object.keys(manifest.peerDependencies).filter((name) => tolerant || !optional(name)),
      ...(typed ? [] : Object.keys(manifest.dependencies)),
      ...optedIn,
    ];
    const code = text.replace(/\/\*.*?\*\//gs, ''); // an example in a comment imports nothing
    return Array.from(code.matchAll(specifiers), ([, specifier]) => specifier)
      .filter((specifier) => !specifier.startsWith('node:') && !builtinModules.includes(specifier))
      .map((specifier) => /^(@[^/]+\/)?[^/]+/.exec(specifier)[0])
      .filter((name) => !available.includes(name));
  }
}

function none(problems) {
  assert.ok(problems.length === 0, [...new Set(problems)].join('\n'));
}

/** The strings in a tree of conditions. */
function leaves(tree) {
  return typeof tree === 'string' ? [tree] : Object.values(tree).flatMap(leaves);
}

/** The files that Node loads for modules and threads, or that a compiler reads for declarations. */
function reachable(entries, texts) {
  const found = new Set(entries);
  for (const path of found) {
    const text = texts.get(path);
    assert.ok(text !== undefined, `${path} is imported and not there`);
    const suffix = path.endsWith('.d.ts') ? '.d.ts' : '.js';
    for (const [, specifier] of text.matchAll(/(?:from|import|require)\s*\(?\s*["'](\.[^"']*)["']/g)) {
      found.add(posix.join(posix.dirname(path), specifier.replace(/\.js$/, suffix)));
    }
    // A thread is started with the path of its module.
    for (const [, file] of text.matchAll(/__dirname,\s*["']([^"']+\.js)["']/g)) {
      found.add(posix.join(posix.dirname(path), file));
    }
  }
  return [...found];
}
