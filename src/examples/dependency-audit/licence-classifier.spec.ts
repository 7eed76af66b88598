import type { LicenceClass } from './licence-classes.js';
import { LicenceClassifier } from './licence-classifier.js';

const classifier = new LicenceClassifier();

describe('LicenceClassifier', () => {
  it.each<[string, LicenceClass]>([
    ['MIT', 'permissive'],
    ['0BSD', 'permissive'],
    ['BlueOak-1.0.0', 'permissive'],
    ['CC-BY-4.0', 'permissive'],
    ['CC0-1.0', 'public-domain'],
    ['Unlicense', 'public-domain'],
    ['MPL-2.0', 'weak-copyleft'],
    ['LGPL-2.1+', 'weak-copyleft'],
    ['LGPL-3.0-or-later', 'weak-copyleft'],
    ['GPL-2.0', 'strong-copyleft'],
    ['AGPL-3.0-only', 'strong-copyleft'],
    ['GPL-2.0-only WITH Classpath-exception-2.0', 'weak-copyleft'],
    ['GPL-3.0-or-later WITH Autoconf-exception-3.0', 'strong-copyleft'],
    ['Apache-2.0 WITH LLVM-exception', 'permissive'],
    ['BUSL-1.1', 'proprietary'],
    ['CC-BY-NC-4.0', 'proprietary'],
    ['Apache-2.0 AND MIT', 'permissive'],
    ['(MIT OR CC0-1.0)', 'public-domain'],
    ['MIT OR GPL-3.0-only', 'permissive'],
    ['MIT AND GPL-3.0-only', 'strong-copyleft'],
    ['(MIT AND (LGPL-3.0-only OR GPL-3.0-only))', 'weak-copyleft'],
    ['MIT OR GPL-2.0-only AND MPL-2.0', 'permissive'],
    ['MIT AND LicenseRef-house-rules', 'unknown'],
    ['Caldera', 'unknown'],
  ])('classifies the expression %s as %s', (license, expected) => {
    expect(classifier.classify({ license })).toEqual({ expression: license, class: expected });
  });

  it.each<[string, object, string | null, LicenceClass]>([
    ['nothing', {}, null, 'unknown'],
    ['an empty text', { license: ' ' }, null, 'unknown'],
    ['null', { license: null }, null, 'unknown'],
    ['a number', { license: 3 }, null, 'unknown'],
    ['UNLICENSED', { license: 'UNLICENSED' }, 'UNLICENSED', 'proprietary'],
    ['a file', { license: 'SEE LICENSE IN LICENSE.md' }, 'SEE LICENSE IN LICENSE.md', 'unknown'],
    ['an object', { license: { type: 'MIT', url: 'LICENSE' } }, 'MIT', 'permissive'],
    ['an object without type', { license: { url: 'LICENSE' } }, null, 'unknown'],
    [
      'a list',
      {
        licenses: [
          { type: 'MIT', url: 'a' },
          { type: 'GPL-2.0', url: 'b' },
        ],
      },
      'MIT OR GPL-2.0',
      'permissive',
    ],
    ['a list of one', { licenses: ['ISC'] }, 'ISC', 'permissive'],
    ['a list that is none', { licenses: { type: 'BSD-3-Clause' } }, 'BSD-3-Clause', 'permissive'],
    ['a list of expressions', { licenses: ['MIT AND ISC', 'Zlib'] }, '(MIT AND ISC) OR Zlib', 'permissive'],
    ['a list of the same', { licenses: ['MIT', 'MIT'] }, 'MIT', 'permissive'],
    ['both fields', { license: 'ISC', licenses: ['GPL-3.0'] }, 'ISC', 'permissive'],
    ['another case', { license: 'mit or apache-2.0' }, 'MIT OR Apache-2.0', 'permissive'],
    ['everyday words', { license: 'Apache License, Version 2.0' }, 'Apache-2.0', 'permissive'],
    ['an old abbreviation', { license: 'GPLv3' }, 'GPL-3.0-only', 'strong-copyleft'],
    ['public domain', { license: 'Public Domain' }, 'Public Domain', 'public-domain'],
    ['a misspelling', { license: 'MTI' }, 'MTI', 'unknown'],
    ['an open parenthesis', { license: '(MIT OR' }, '(MIT OR', 'unknown'],
    ['a name of every object', { license: 'constructor' }, 'constructor', 'unknown'],
  ])('reads %s', (_, manifest, expression, expected) => {
    expect(classifier.classify(manifest)).toEqual({ expression, class: expected });
  });

  it('is not led astray by an endless text', () => {
    const licence = classifier.classify({ license: '('.repeat(1_000_000) });
    expect(licence.class).toBe('unknown');
    expect(licence.expression).toHaveLength(500);
  });

  it('does not follow lists within lists', () => {
    expect(classifier.classify({ licenses: [['MIT']] })).toEqual({ expression: null, class: 'unknown' });
  });
});
