import { join, resolve } from 'node:path';
import ts from 'typescript';
import { composed, type Composed } from './composed.js';
import type { Snippet } from './snippets.js';

const REPOSITORY = resolve(__dirname, '../../..');
/** Where the snippets seem to lie, one directory per page; they are never written. */
const IMAGINED = join(REPOSITORY, 'test', 'docs', 'imagined');

/** What the compiler says of the snippets: `docs/control.md:12: Cannot find name 'x'.` */
export function typeErrors(snippets: readonly Snippet[]): string[] {
  const files = new Map(snippets.map((snippet) => [pathOf(snippet), { snippet, module: composed(snippet) }]));
  const options = compilerOptions();
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  const directories = new Set([...files.keys()].map((path) => path.slice(0, path.lastIndexOf('/'))));
  host.fileExists = (path) => files.has(path) || fileExists(path);
  host.directoryExists = (path) => directories.has(path) || path === IMAGINED || ts.sys.directoryExists(path);
  host.readFile = (path) => files.get(path)?.module.text ?? readFile(path);
  host.getSourceFile = (path, target, ...rest) => {
    const known = files.get(path);
    return known ? ts.createSourceFile(path, known.module.text, target) : getSourceFile(path, target, ...rest);
  };
  const program = ts.createProgram([...files.keys()], options, host);
  return Array.from(files, ([path, { snippet, module }]) => {
    const source = program.getSourceFile(path)!;
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(
      ({ start = 0, messageText }) => {
        const line = lineOnPage(source.getLineAndCharacterOfPosition(start).line, snippet, module);
        return `${snippet.page}:${line}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
      },
    );
  }).flat();
}

/** An error in what is given for a snippet counts as one of its first line. */
function lineOnPage(line: number, snippet: Snippet, { offset }: Composed): number {
  return snippet.line + Math.max(0, line - offset);
}

function pathOf({ page, line, file }: Snippet): string {
  const name = file ?? `line-${line}`;
  return join(IMAGINED, page.replace(/\W/g, '-'), `${name}.ts`).replaceAll('\\', '/');
}

function compilerOptions(): ts.CompilerOptions {
  const { options } = ts.getParsedCommandLineOfConfigFile(
    join(REPOSITORY, 'tsconfig.json'),
    {},
    {
      ...ts.sys,
      onUnRecoverableConfigFileDiagnostic: ({ messageText }) => {
        throw new Error(ts.flattenDiagnosticMessageText(messageText, '\n'));
      },
    },
  )!;
  const asInAnApplication = {
    isolatedModules: false,
    noUnusedLocals: false,
    noUnusedParameters: false,
    strictPropertyInitialization: false,
  };
  const paths = {
    ...options.paths,
    nestor: ['./libs/orchestrator/src/index.ts'],
    'nestor/schedule': ['./libs/schedule/src/index.ts'],
    'nestor/testing': ['./libs/testing/src/index.ts'],
  };
  return { ...options, ...asInAnApplication, paths, noEmit: true };
}
