import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import * as common from '@nestjs/common';
import * as core from '@nestjs/core';
import * as testing from '@nestjs/testing';
import * as transformer from 'class-transformer';
import * as validator from 'class-validator';
import ts from 'typescript';
import type { Snippet } from './snippets.js';

/** A snippet as a module that compiles by itself. */
export interface Composed {
  readonly text: string;
  /** The line of `text`, from 0, on which the snippet begins. */
  readonly offset: number;
}

const INDEX = resolve(__dirname, '../../../libs/orchestrator/src/index.ts');
const isDecoratorOrType = (name: string): boolean => /^[A-Z]/.test(name);

/** Whose names need no import, with the names. */
const KNOWN = new Map([
  ['nestor', exportsOf(INDEX)],
  ...Object.entries({
    '@nestjs/common': common,
    '@nestjs/core': core,
    '@nestjs/testing': testing,
    'class-validator': validator,
    'class-transformer': transformer,
  }).map(([module, exported]) => [module, new Set(Object.keys(exported).filter(isDecoratorOrType))] as const),
]);

export function composed({ text: shown, file, given }: Snippet): Composed {
  const text = shown.replaceAll('{ … }', '{ throw new Error(); }');
  if (file !== null) return { text, offset: 0 };
  const body = parsed(text);
  const imports = body.statements.filter(ts.isImportDeclaration);
  const end = imports.at(-1)?.end ?? 0;
  const lineOfCode = text.slice(0, end).split('\n').length - 1;
  const code = text
    .slice(end)
    .replace(/^\n/, '')
    .replace(/^export (?=(abstract )?class )/gm, '');
  const self = /\b(class|interface) This\b/.test(given);
  const open = isOfStatements(code)
    ? `export async function snippet(this: ${self ? 'This' : 'void'}) {`
    : `export class Snippet ${self ? 'extends This ' : ''}{`;
  const head = [...automaticImports(`${given}\n${text}`), given, text.slice(0, end), open].join('\n');
  return { text: `${head}\n${code}\n}\n`, offset: head.split('\n').length - lineOfCode - (end > 0 ? 1 : 0) };
}

/** Statements rather than members of a class, which do not parse as such. */
function isOfStatements(code: string): boolean {
  const { diagnostics = [] } = ts.transpileModule(`async function f() {\n${code}\n}`, {
    reportDiagnostics: true,
    compilerOptions: { target: ts.ScriptTarget.ES2022, experimentalDecorators: true },
  });
  return diagnostics.length === 0;
}

function automaticImports(text: string): string[] {
  const used = new Set<string>();
  const declared = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node)) used.add(node.text);
    const named = node as { readonly name?: ts.Node };
    const declares =
      ts.isClassDeclaration(node) ||
      ts.isInterfaceDeclaration(node) ||
      ts.isTypeAliasDeclaration(node) ||
      ts.isFunctionDeclaration(node) ||
      ts.isVariableDeclaration(node) ||
      ts.isBindingElement(node) ||
      ts.isParameter(node) ||
      ts.isImportClause(node) ||
      ts.isImportSpecifier(node);
    if (declares && named.name && ts.isIdentifier(named.name)) declared.add(named.name.text);
    ts.forEachChild(node, visit);
  };
  visit(parsed(text));
  return Array.from(KNOWN, ([module, names]) => {
    const needed = [...names].filter((name) => used.has(name) && !declared.has(name));
    for (const name of needed) declared.add(name);
    return needed.length > 0 ? `import { ${needed.join(', ')} } from '${module}';` : '';
  }).filter((line) => line !== '');
}

function exportsOf(file: string): Set<string> {
  const exported = parsed(readFileSync(file, 'utf8')).statements.filter(ts.isExportDeclaration);
  return new Set(
    exported.flatMap(({ exportClause }) =>
      exportClause && ts.isNamedExports(exportClause) ? exportClause.elements.map(({ name }) => name.text) : [],
    ),
  );
}

function parsed(text: string): ts.SourceFile {
  return ts.createSourceFile('snippet.ts', text, ts.ScriptTarget.Latest, true);
}
