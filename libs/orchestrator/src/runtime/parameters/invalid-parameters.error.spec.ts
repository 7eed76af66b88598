import { InvalidParametersError } from './invalid-parameters.error.js';

describe('InvalidParametersError', () => {
  it('names every place that is wrong, and what to do', () => {
    const problems = [
      { path: 'id', problem: 'must be a number and is a text' },
      { path: 'items[2].sku', problem: 'must be a string' },
    ];
    const error = new InvalidParametersError('order', problems);
    expect(error).toMatchObject({ code: 'INVALID_PARAMETERS', flowName: 'order', problems });
    expect(error.message).toBe(
      'Flow "order" cannot take its parameters. id: must be a number and is a text; items[2].sku: must be a string. ' +
        'Start the flow with others, or fork the run with others in their place.',
    );
  });

  it('stays short, however much is wrong and whatever the fields are called', () => {
    const problems = Array.from({ length: 5_000 }, (_, index) => ({
      path: `${index}${'x'.repeat(10_000)}`,
      problem: 'y'.repeat(10_000),
    }));
    const { message, problems: kept } = new InvalidParametersError('order', problems);
    expect(message.length).toBeLessThan(9_000);
    expect(message).toContain('; and 4980 more. ');
    expect(kept).toHaveLength(1_000);
    expect(kept[7]).toEqual({ path: `7${'x'.repeat(199)}…`, problem: `${'y'.repeat(200)}…` });
  });
});
