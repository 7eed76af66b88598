import { format } from 'node:util';
import ts from 'typescript';
import { composed } from './composed.js';
import type { Snippet } from './snippets.js';

const OURS: Record<string, string> = {
  nestor: '@nestor/orchestrator',
  'nestor/schedule': '@nestor/schedule',
  'nestor/testing': '@nestor/testing',
};

/**
 * Executes a snippet, with those of its page that it imports; gives what it printed.
 *
 * @param env the environment that it reads its settings from.
 */
export async function printedBy(
  snippet: Snippet,
  others: readonly Snippet[],
  env: Record<string, string>,
): Promise<string> {
  const lines: string[] = [];
  const loaded = new Map<string, object>();
  const load = (name: string): unknown => {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- which module it is is known only now
    if (!name.startsWith('./')) return require(OURS[name] ?? name) as unknown;
    const file = name.slice(2).replace(/\.js$/, '');
    const known = others.find((other) => other.page === snippet.page && other.file === file);
    if (!known) throw new Error(`${snippet.page} shows no file ${file}.ts.`);
    return loaded.get(file) ?? evaluate(known, (exported) => loaded.set(file, exported));
  };
  const evaluate = (one: Snippet, note: (exported: object) => void = () => undefined): { snippet?: () => unknown } => {
    const exported = {};
    note(exported);
    // eslint-disable-next-line @typescript-eslint/no-implied-eval -- what is evaluated is our own documentation
    const run = new Function('exports', 'require', 'process', transpiled(composed(one).text));
    run(exported, load, { env });
    return exported;
  };
  const printing = jest.spyOn(console, 'log').mockImplementation((...values) => void lines.push(format(...values)));
  try {
    await evaluate(snippet).snippet?.();
  } finally {
    printing.mockRestore();
  }
  return lines.map((line) => `${line}\n`).join('');
}

function transpiled(text: string): string {
  const compilerOptions = {
    module: ts.ModuleKind.CommonJS,
    target: ts.ScriptTarget.ES2022,
    experimentalDecorators: true,
    emitDecoratorMetadata: true,
    esModuleInterop: true,
    useDefineForClassFields: false,
  };
  return ts.transpileModule(text, { compilerOptions }).outputText;
}
