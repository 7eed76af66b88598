import { Injectable } from '@nestjs/common';
import parseExpression from 'spdx-expression-parse';
import { isRecord } from './json-file.js';
import { classOfLicence, leastDemanding, type LicenceClass, mostDemanding } from './licence-classes.js';
import type { Manifest } from './manifest.reader.js';

/** What a manifest says about its licence. */
export interface Licence {
  /** An SPDX expression where one could be made of it, otherwise the author's words; `null` when there are none. */
  readonly expression: string | null;
  readonly class: LicenceClass;
}

const MAX_EXPRESSION_LENGTH = 500;
const MAX_CHOICES = 10;

/** What authors write where an SPDX identifier was meant, in lower case. */
const ALIASES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    'apache 2': 'Apache-2.0',
    'apache 2.0': 'Apache-2.0',
    'apache-2': 'Apache-2.0',
    'apache license 2.0': 'Apache-2.0',
    'apache license, version 2.0': 'Apache-2.0',
    apache2: 'Apache-2.0',
    bsd: 'BSD-2-Clause',
    'new bsd': 'BSD-3-Clause',
    'gpl v2': 'GPL-2.0-only',
    gplv2: 'GPL-2.0-only',
    'gpl v3': 'GPL-3.0-only',
    gplv3: 'GPL-3.0-only',
    lgplv3: 'LGPL-3.0-only',
    'mit license': 'MIT',
    'mit/x11': 'MIT',
    'the mit license': 'MIT',
  }),
);
/** Identifiers are the same in any case, by the SPDX specification; the parser knows only the canonical one. */
const COMMON = [
  'MIT',
  'ISC',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
  'MPL-2.0',
  'CC0-1.0',
  'Unlicense',
  'Zlib',
];
const CANONICAL_CASE: ReadonlyMap<string, string> = new Map(COMMON.map((id) => [id.toLowerCase(), id]));

/** Sorts packages by what their licence asks of those who use them. */
@Injectable()
export class LicenceClassifier {
  /**
   * Understands SPDX expressions (`OR`: the user may choose the least demanding; `AND`: the most demanding decides;
   * `WITH`: linking exceptions weaken a copyleft), the older `{ type, url }` and `licenses` lists (a choice), `UNLICENSED`
   * and common ways of writing the common licences. Everything else is `unknown`. Never throws.
   */
  classify({ license, licenses }: Pick<Manifest, 'license' | 'licenses'>): Licence {
    const texts = [...textsOf(license), ...(license === undefined ? textsOf(licenses) : [])];
    const choices = [...new Set(texts)].map(classifyText);
    if (choices.length <= 1) return choices[0] ?? { expression: null, class: 'unknown' };
    const expressions = choices.map(({ expression }) => (expression?.includes(' ') ? `(${expression})` : expression));
    return { expression: expressions.join(' OR '), class: leastDemanding(choices.map((choice) => choice.class)) };
  }
}

function textsOf(field: unknown): string[] {
  const items: unknown[] = Array.isArray(field) ? field.slice(0, MAX_CHOICES) : [field];
  return items
    .map((item) => (isRecord(item) ? (item.type ?? item.name) : item))
    .filter((text) => typeof text === 'string')
    .map((text) => text.trim().slice(0, MAX_EXPRESSION_LENGTH))
    .filter((text) => text !== '');
}

function classifyText(text: string): Licence {
  if (/^unlicen[cs]ed$/i.test(text)) return { expression: 'UNLICENSED', class: 'proprietary' };
  if (/^public[ -]domain$/i.test(text)) return { expression: text, class: 'public-domain' };
  for (const expression of [text, ALIASES.get(text.toLowerCase()), canonicalCase(text)]) {
    const parsed = expression === undefined ? null : tryParse(expression);
    if (expression !== undefined && parsed) return { expression, class: classOf(parsed) };
  }
  return { expression: text, class: 'unknown' };
}

function canonicalCase(text: string): string {
  return text.replace(/[\w.+-]+/g, (word) =>
    /^(or|and|with)$/i.test(word) ? word.toUpperCase() : (CANONICAL_CASE.get(word.toLowerCase()) ?? word),
  );
}

function tryParse(expression: string): parseExpression.Info | null {
  try {
    return parseExpression(expression);
  } catch {
    return null; // "SEE LICENSE IN …", a misspelling, a file name: for a person to read
  }
}

function classOf(info: parseExpression.Info): LicenceClass {
  if ('license' in info) return classOfLicence(info.license, info.exception);
  const sides = [classOf(info.left), classOf(info.right)];
  return info.conjunction === 'or' ? leastDemanding(sides) : mostDemanding(sides);
}
