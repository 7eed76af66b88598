/**
 * A question whether there is something to do, that many loops ask at once. It locks nothing, and finds whatever the loop
 * would deal with: what it misses is found late.
 */
export interface Look {
  /** A `select` with its own `$1`, `$2` and so on. */
  readonly text: string;
  readonly parameters: readonly unknown[];
  /**
   * What its answer says. `rows`: there is something now if it has a row. `ms`: that column of its only row says in how many
   * milliseconds there is something; `null` means never.
   */
  readonly finds: 'rows' | 'ms';
}

/**
 * One statement for many looks; its column `answers` has for each of them in how many milliseconds there is something to do,
 * and `null` where there is nothing. Each is planned as if it were alone.
 */
export function askedTogether(looks: readonly Look[]): { readonly text: string; readonly parameters: unknown[] } {
  const parameters: unknown[] = [];
  const parts = looks.map((look, index) => {
    const places = new Map<number, number>();
    const place = (number: number): number => {
      const known = places.get(number) ?? parameters.push(look.parameters[number - 1]);
      places.set(number, known);
      return known;
    };
    const text = look.text.replace(/\$(\d+)/g, (_, digits: string) => `$${place(Number(digits))}`);
    return `look_${index} as materialized (${text})`;
  });
  const answers = looks.map(
    ({ finds }, index) => `(select ${finds === 'ms' ? 'ms' : '0'}::float8 from look_${index} limit 1)`,
  );
  return { text: `with ${parts.join(', ')} select array[${answers.join(', ')}] as answers`, parameters };
}
