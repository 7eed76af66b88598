const { readdirSync, readFileSync } = require('node:fs');
const { join } = require('node:path');

/**
 * Nest 12 ships ES modules only, and Jest on Node 20 cannot `require()` those. Every installed package that says
 * `"type": "module"` is therefore transformed to CommonJS, like our own sources; the list is read, not maintained.
 */
function esModulePackages(root) {
  const names = readdirSync(root).flatMap((entry) =>
    entry.startsWith('@') ? readdirSync(join(root, entry)).map((name) => `${entry}/${name}`) : [entry],
  );
  return names.filter((name) => {
    try {
      return JSON.parse(readFileSync(join(root, name, 'package.json'), 'utf8')).type === 'module';
    } catch {
      return false;
    }
  });
}

const swc = JSON.parse(readFileSync(join(__dirname, '.swcrc'), 'utf8'));
delete swc.exclude; // the build leaves the tests out; Jest must not
swc.swcrc = false; // or the file would be read a second time, with that exclusion
const escape = (name) => name.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
const transformed = esModulePackages(join(__dirname, 'node_modules')).map(escape).join('|');

/** @type {import('jest').Config} */
module.exports = {
  rootDir: __dirname,
  testEnvironment: 'node',
  roots: ['<rootDir>/libs', '<rootDir>/src', '<rootDir>/test'],
  testMatch: ['**/*.spec.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/dist/'],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.nestor/', '<rootDir>/test/packages/hosts/'],
  transform: { '\\.(ts|[cm]?js)$': ['@swc/jest', swc] },
  transformIgnorePatterns: [`/node_modules/(?!(${transformed})/)`],
  moduleNameMapper: {
    // A thread loads its module by itself, without Jest.
    '^\\./thread-file\\.js$': '<rootDir>/test/support/lease-thread-file.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
    '^@nestor/([a-z-]+)$': '<rootDir>/libs/$1/src/index.ts',
  },
  globalSetup: '<rootDir>/test/support/global-setup.mjs',
  globalTeardown: '<rootDir>/test/support/global-teardown.mjs',
  testTimeout: 30_000,
  maxWorkers: 2,
};
