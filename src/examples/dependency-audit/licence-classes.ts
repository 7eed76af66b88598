/** What a licence asks of those who use the package, from nothing to everything; `unknown` needs a person to read it. */
export const LICENCE_CLASSES = [
  'public-domain',
  'permissive',
  'weak-copyleft',
  'strong-copyleft',
  'proprietary',
  'unknown',
] as const;
export type LicenceClass = (typeof LICENCE_CLASSES)[number];

/**
 * Families of SPDX identifiers, in the order in which they are tried. The classes follow the categories of
 * https://scancode-licensedb.aboutcode.org; this is a first sorting for people, not legal advice.
 */
const FAMILIES: readonly (readonly [RegExp, LicenceClass])[] = [
  [/^(CC0-1\.0|CC-PDDC|PDDL-1\.0|Unlicense|SAX-PD|NIST-PD|blessing)/, 'public-domain'],
  [/^(BUSL-|Elastic-|PolyForm-|CC-BY-(NC|ND)|Aladdin$)/, 'proprietary'],
  [/^(A?GPL-|SSPL-|OSL-|RPL-|Sleepycat$|QPL-)/, 'strong-copyleft'],
  [/^(LGPL|MPL-|EPL-|CDDL-|CPL-|EUPL-|CC-BY-SA-|Artistic-|MS-(PL|RL)$|APSL-|IPL-|Ruby$|CECILL-C$)/, 'weak-copyleft'],
  [/^(MIT|BSD-|Apache-|CC-BY-\d|BlueOak-|AFL-|Unicode-|OFL-|Python-|HPND|W3C|ZPL-|PHP-|X11|ECL-|LPPL-)/, 'permissive'],
  [
    /^(0BSD|ISC|Zlib|PSF-2\.0|BSL-1\.0|NCSA|PostgreSQL|WTFPL|UPL-1\.0|ICU|curl|FSFAP|JSON|Beerware|OpenSSL|NTP|TCL)$/,
    'permissive',
  ],
];

/** Exceptions that allow linking from differently licensed code, which is what makes a strong copyleft weak. */
const LINKING_EXCEPTION =
  /^(Classpath-exception|GCC-exception|LGPL-3\.0-linking|Linux-syscall-note|OpenJDK-assembly|GPL-CC)/;

/** The class of one SPDX identifier, `unknown` for one that is in no family. */
export function classOfLicence(id: string, exception?: string): LicenceClass {
  const found = FAMILIES.find(([family]) => family.test(id))?.[1] ?? 'unknown';
  return found === 'strong-copyleft' && exception !== undefined && LINKING_EXCEPTION.test(exception)
    ? 'weak-copyleft'
    : found;
}

/** All of several licences apply: the one that asks for most decides. */
export function mostDemanding(classes: readonly LicenceClass[]): LicenceClass {
  return LICENCE_CLASSES.findLast((candidate) => classes.includes(candidate)) ?? 'unknown';
}

/** One of several licences may be chosen: the one that asks for least decides. */
export function leastDemanding(classes: readonly LicenceClass[]): LicenceClass {
  return LICENCE_CLASSES.find((candidate) => classes.includes(candidate)) ?? 'unknown';
}
