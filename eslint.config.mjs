import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

const TESTS = ['test/**/*.ts', '**/*.spec.ts', '**/*.test-d.ts'];

const nodeGlobals = Object.fromEntries(
  [
    ['AbortController', 'AbortSignal', 'Buffer', 'TextDecoder', 'TextEncoder', 'URL', 'URLSearchParams', 'WebSocket'],
    ['clearImmediate', 'clearInterval', 'clearTimeout', 'setImmediate', 'setInterval', 'setTimeout', 'queueMicrotask'],
    ['console', 'crypto', 'fetch', 'performance', 'process', 'structuredClone'],
  ]
    .flat()
    .map((name) => [name, 'readonly']),
);
const commonJsGlobals = {
  require: 'readonly',
  module: 'writable',
  exports: 'writable',
  __dirname: 'readonly',
  __filename: 'readonly',
};

const environmentIsReadInOnePlace = {
  'no-restricted-syntax': [
    'error',
    {
      selector: 'MemberExpression[object.name="process"]:matches([property.name="env"], [property.value="env"])',
      message: 'Settings come from the module options; src/config alone reads the environment.',
    },
    {
      selector: 'VariableDeclarator[init.name="process"] > ObjectPattern > Property[key.name="env"]',
      message: 'Settings come from the module options; src/config alone reads the environment.',
    },
    {
      selector: 'ImportDeclaration[source.value=/^(node:)?process$/] > ImportSpecifier[imported.name="env"]',
      message: 'Settings come from the module options; src/config alone reads the environment.',
    },
  ],
};

/** Core is told the time and draws no lots: the same input gives the same verdict, today and in a replay. */
const coreIsPure = {
  'no-restricted-globals': [
    'error',
    ...['process', 'console', 'performance', 'crypto', 'fetch', 'Buffer'],
    ...['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask'],
  ].map((name) => (name === 'error' ? name : { name, message: 'Core is pure: take what you need as an argument.' })),
  'no-restricted-properties': [
    'error',
    { object: 'Date', property: 'now', message: 'Core has no clock: take `now` as an argument.' },
    { object: 'Math', property: 'random', message: 'Core draws no lots: take the random number as an argument.' },
  ],
  'no-restricted-syntax': [
    'error',
    {
      selector: ':matches(NewExpression, CallExpression)[callee.name="Date"][arguments.length=0]',
      message: 'Core has no clock: take `now` as an argument.',
    },
  ],
};

export default defineConfig(
  {
    ignores: [
      '**/node_modules/**',
      '**/dist/**',
      'coverage/**',
      '.nestor/**',
      // Applications of their own, with their own packages and compilers: they are built against the packed package.
      'test/packages/hosts/**',
    ],
  },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      'no-console': 'error',
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      ...environmentIsReadInOnePlace,

      // A promise is awaited, returned, or given up in so many words (`void`).
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      // An async method without await is how an interface of promises is met; a throw in it becomes a rejection.
      '@typescript-eslint/require-await': 'off',

      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrors: 'all', ignoreRestSiblings: true },
      ],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/prefer-promise-reject-errors': ['error', { allowThrowingUnknown: true }],
      '@typescript-eslint/only-throw-error': ['error', { allowRethrowing: true, allowThrowingUnknown: true }],

      // Safe with Nest: in a file with decorators, where a class imported for injection must stay a value, the rule keeps
      // silent, because tsconfig.json has experimentalDecorators and emitDecoratorMetadata. Never --fix it in otherwise.
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/consistent-type-exports': ['error', { fixMixedExportsWithInlineTypeSpecifier: true }],

      // A DTO's field keeps its type, although the default shows it: validation reads it.
      '@typescript-eslint/no-inferrable-types': ['error', { ignoreProperties: true }],
      '@typescript-eslint/no-extraneous-class': 'off', // a Nest module is a class with nothing but a decorator
      '@typescript-eslint/no-empty-function': 'off',
      '@typescript-eslint/no-unsafe-enum-comparison': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/consistent-type-definitions': 'off', // an interface for an object, a type for the rest: by eye
      '@typescript-eslint/class-literal-property-style': 'off', // `readonly code = 'X'` is a field one can match on
      '@typescript-eslint/prefer-nullish-coalescing': ['error', { ignorePrimitives: { boolean: true, string: true } }],
    },
  },
  { files: ['libs/core/**/*.ts'], ignores: TESTS, rules: coreIsPure },
  { files: ['src/config/**/*.ts'], rules: { 'no-restricted-syntax': 'off' } },
  { files: ['src/**/*.ts'], rules: { 'no-console': 'off' } },
  {
    files: TESTS,
    languageOptions: { globals: { ...nodeGlobals } },
    rules: {
      'no-console': 'off',
      'no-restricted-syntax': 'off',
      // A test hands in what the types forbid, and looks into what it gets back.
      '@typescript-eslint/no-explicit-any': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/only-throw-error': 'off',
      '@typescript-eslint/prefer-promise-reject-errors': 'off',
      '@typescript-eslint/unbound-method': 'off', // expect(service.method)
    },
  },
  {
    files: ['**/*.test-d.ts'],
    rules: { '@typescript-eslint/no-unused-vars': 'off', '@typescript-eslint/no-unused-expressions': 'off' },
  },
  {
    files: ['**/*.{js,mjs,cjs}'],
    languageOptions: { ecmaVersion: 2023, globals: nodeGlobals },
    rules: {
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-console': 'error',
      'no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true }],
    },
  },
  {
    files: ['**/*.cjs'],
    languageOptions: { sourceType: 'commonjs', globals: commonJsGlobals },
  },
  { files: ['{scripts,test,src}/**/*.{js,mjs,cjs}'], rules: { 'no-console': 'off' } },
);
