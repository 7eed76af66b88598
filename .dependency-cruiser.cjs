/**
 * The arrows of the architecture, checked by `npm run check:imports`.
 *
 *   src ──► api ──► orchestrator ──► core        core ◄── client ◄── dashboard/web, src/cli
 *   inside orchestrator:  authoring ──► runtime ──► records ──► persistence   (all may use core)
 *
 * Type-only imports count like any other: a type that points the wrong way moves the code that needs it sooner or later.
 */
const SPEC = '[.](spec|test-d)[.]ts$';
/** The modules, and the list of what is public: they see every layer, and no layer sees them. */
const COMPOSITION_ROOT = '^libs/orchestrator/src/([^/]+[.]module|index)[.]ts$';
const layer = (...names) => `^libs/orchestrator/src/(${names.join('|')})/`;

/** A library and everything of ours that it may import besides itself. Specs may use the test kit on top of that. */
const mayImport = {
  core: [],
  orchestrator: ['libs/core', 'migrations'],
  api: ['libs/orchestrator', 'libs/core'],
  client: ['libs/core'],
  dashboard: ['libs/client', 'libs/core'],
  schedule: ['libs/orchestrator', 'libs/core'],
  testing: ['libs/orchestrator', 'libs/core'],
};

const libraryArrows = Object.entries(mayImport).map(([library, others]) => ({
  name: `arrows-${library}`,
  comment: `libs/${library} may import ${others.join(', ') || 'nothing else of this repository'}.`,
  severity: 'error',
  from: { path: `^libs/${library}/` },
  to: {
    path: '^(libs|src|migrations|scripts)/',
    pathNot: [`libs/${library}`, ...others, ...(library === 'core' ? [] : ['libs/testing'])].map((name) => `^${name}/`),
  },
}));

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'Files that import each other cannot be read, tested or loaded one at a time: move what both need.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'resolvable',
      comment:
        'The import leads nowhere: a misspelt path, an alias missing from tsconfig.json, or a package not installed.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    ...libraryArrows,
    {
      name: 'known-library',
      comment: 'A new library needs its line in `mayImport`.',
      severity: 'error',
      from: { path: '^libs/', pathNot: `^libs/(${Object.keys(mayImport).join('|')})/` },
      to: {},
    },
    {
      name: 'test-kit-for-tests-only',
      comment: 'libs/testing is for tests: nothing that runs in production may need it.',
      severity: 'error',
      from: { path: '^(libs|src|migrations)/', pathNot: [SPEC, '^libs/testing/'] },
      to: { path: '^libs/testing/' },
    },
    {
      name: 'core-is-pure',
      comment: 'Core decides from what it is given: no package, no file system, no clock, not even a built-in module.',
      severity: 'error',
      from: { path: '^libs/core/', pathNot: SPEC },
      to: { pathNot: '^libs/core/' },
    },
    {
      name: 'orchestrator-layers-persistence',
      comment: 'persistence is the lowest layer: it knows no record, no engine, no decorator.',
      severity: 'error',
      from: { path: layer('persistence') },
      to: { path: layer('records', 'runtime', 'authoring') },
    },
    {
      name: 'orchestrator-layers-records',
      comment: 'records may use persistence, never what moves them.',
      severity: 'error',
      from: { path: layer('records') },
      to: { path: layer('runtime', 'authoring') },
    },
    {
      name: 'orchestrator-layers-runtime',
      comment: 'runtime may use records and persistence; the decorators depend on it, not the reverse.',
      severity: 'error',
      from: { path: layer('runtime') },
      to: { path: layer('authoring') },
    },
    {
      name: 'orchestrator-layers-root',
      comment: 'The module files compose the layers; a layer that imports them has the picture upside down.',
      severity: 'error',
      from: { path: layer('[^/]+'), pathNot: SPEC },
      to: { path: COMPOSITION_ROOT },
    },
    {
      name: 'libraries-through-index',
      comment: 'What is not on a library’s index.ts is private: import the alias, never a deep path.',
      severity: 'error',
      from: { path: '^libs/([^/]+)/' },
      to: { path: '^libs/[^/]+/', pathNot: ['^libs/$1/', '^libs/[^/]+/src/index[.]ts$'] },
    },
    {
      name: 'libraries-through-index-src',
      comment: 'What is not on a library’s index.ts is private: import the alias, never a deep path.',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^libs/', pathNot: '^libs/[^/]+/src/index[.]ts$' },
    },
    {
      name: 'libraries-by-alias',
      comment: 'Another library is imported as @nestor/<name>, not by a path that climbs out of this one.',
      severity: 'error',
      from: { path: '^(libs/[^/]+|src|test)/' },
      to: { path: '^libs/[^/]+/src/index[.]ts$', pathNot: '^$1/', dependencyTypesNot: ['aliased'] },
    },
    {
      name: 'nothing-imports-src',
      comment: 'src composes; only tests of the whole application may reach into it.',
      severity: 'error',
      from: { path: '^(libs|migrations)/' },
      to: { path: '^src/' },
    },
    {
      name: 'migrations-stand-alone',
      comment: 'Code moves on, history does not: a migration imports no code of ours but its neighbours.',
      severity: 'error',
      from: { path: '^migrations/' },
      to: { path: '^(libs|src|test|scripts)/' },
    },
    {
      name: 'tests-are-not-imported',
      comment: 'Nothing outside test/ may lean on it; a helper worth sharing belongs in libs/testing.',
      severity: 'error',
      from: { pathNot: '^test/' },
      to: { path: '^test/' },
    },
    {
      name: 'specs-are-not-imported',
      comment: 'A spec is run, not imported: move the helper into a file of its own.',
      severity: 'error',
      from: {},
      to: { path: SPEC },
    },
    {
      name: 'no-dev-packages',
      comment: 'What the package ships may need only dependencies and peer dependencies; a host does not have ours.',
      severity: 'error',
      from: { path: '^(libs|migrations)/', pathNot: SPEC },
      to: {
        dependencyTypes: ['npm-dev'],
        dependencyTypesNot: ['npm', 'npm-peer', 'npm-optional'], // a peer that is also installed for our own tests
      },
    },
    {
      name: 'declared-packages-only',
      comment: 'The package is here by luck, because another one needs it: name it in package.json.',
      severity: 'error',
      from: {},
      to: {
        dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-bundled'],
        dependencyTypesNot: ['npm', 'npm-dev', 'npm-peer', 'npm-optional'], // `peerDependenciesMeta` counts as unknown
      },
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: ['^dist/', '^coverage/', '^[.]nestor/', '^test/packages/hosts/'] },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      mainFields: ['module', 'main', 'types', 'typings'],
    },
  },
};
