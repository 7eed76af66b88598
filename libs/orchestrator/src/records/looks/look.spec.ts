import { askedTogether } from './look.js';

describe('looks that are asked together', () => {
  it('are one statement, in which each keeps its own parameters', () => {
    const { text, parameters } = askedTogether([
      { text: 'select from a where x = $2 and y = $1 and z > $2', parameters: ['y', 'x'], finds: 'rows' },
      { text: 'select b.due as ms from b where v = $1', parameters: ['v'], finds: 'ms' },
    ]);
    expect(text).toBe(
      'with look_0 as materialized (select from a where x = $1 and y = $2 and z > $1), ' +
        'look_1 as materialized (select b.due as ms from b where v = $3) ' +
        'select array[(select 0::float8 from look_0 limit 1), (select ms::float8 from look_1 limit 1)] as answers',
    );
    expect(parameters).toEqual(['x', 'y', 'v']);
  });

  it('leave out parameters that they do not use: the server would ask for their types', () => {
    const { text, parameters } = askedTogether([
      { text: 'select from a where x = $11', parameters: [...'abcdefghijk'], finds: 'rows' },
    ]);
    expect(text).toContain('where x = $1)');
    expect(parameters).toEqual(['k']);
  });
});
