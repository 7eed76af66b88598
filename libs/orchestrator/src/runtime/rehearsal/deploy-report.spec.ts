import { describeReport, type DeployReport, type DivergentRun } from './deploy-report.js';

const REPORT: DeployReport = {
  ...{ buildId: 'v2', app: 'shop', inFlight: 0, compatible: 0, unaffected: 0 },
  ...{ divergent: [], unchecked: [], isSafe: true },
};

const divergent = (count: number): DivergentRun => ({
  ...{ flowRunId: 'one', name: 'calm-crow', flowName: 'order', stateName: 'Running', buildId: 'v1' },
  ...{ consequence: 'fail', newCalls: [], missingCalls: [] },
  differences: Array.from({ length: count }, (_, index) => `Difference ${index + 1}.`),
});

describe('the report of a deploy check, for people', () => {
  it.each([
    [0, 'runs'],
    [1, 'run'],
    [2, 'runs'],
  ])('counts %i %s', (inFlight, noun) => {
    expect(describeReport({ ...REPORT, inFlight })).toMatch(
      `Build v2 of application "shop" against ${inFlight} ${noun} in flight:`,
    );
  });

  it('tells every difference of a run that has few', () => {
    const lines = describeReport({ ...REPORT, divergent: [divergent(10)] }).split('\n');
    expect(lines.slice(3, 5)).toEqual([
      'order: run one (calm-crow, Running, build v1) would diverge (it fails then):',
      '  Difference 1.',
    ]);
    expect(lines.at(-1)).toBe('  Difference 10.');
  });

  it('tells the first of a run that has many, and how many there are besides', () => {
    const lines = describeReport({ ...REPORT, divergent: [divergent(370)] }).split('\n');
    expect(lines.slice(-2)).toEqual(['  Difference 10.', '  … and 360 more.']);
  });
});
