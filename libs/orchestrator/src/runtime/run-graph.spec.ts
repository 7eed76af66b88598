import { toMermaid, type RunGraphNode } from './run-graph.js';

const node = (id: string, over: Partial<RunGraphNode> = {}): RunGraphNode => ({
  id,
  name: id,
  taskKey: `Shop.${id}`,
  parentId: null,
  stateType: 'COMPLETED',
  stateName: 'Completed',
  ...over,
});
const graph = (nodes: RunGraphNode[], edges: [from: string, to: string, input: string][] = []): string =>
  toMermaid({
    ...{ flowRunId: 'run', name: 'calm-otter', isComplete: true, nodes },
    edges: edges.map(([from, to, input]) => ({ from, to, input })),
  });

describe('the Mermaid text of a graph', () => {
  it('has a line per task run with its state, and one per pair of them that hang together [F20]', () => {
    const text = graph(
      [node('load'), node('count'), node('send', { stateType: 'PENDING', stateName: 'NotReady' })],
      [
        ['load', 'count', '0'],
        ['load', 'count', '1'],
        ['count', 'send', 'wait_for'],
      ],
    );
    expect(text).toBe(`flowchart TD
  t0["load<br/>Completed"]
  t1["count<br/>Completed"]
  t2["send<br/>NotReady"]
  t0 --> t1
  t1 -.-> t2
`);
  });

  it('puts task runs into those that called them', () => {
    const inner = [node('b', { parentId: 'a' }), node('c', { parentId: 'b' }), node('d', { parentId: 'a' })];
    expect(graph([node('a'), ...inner, node('e', { parentId: 'not shown' })])).toBe(`flowchart TD
  subgraph t0["a<br/>Completed"]
    subgraph t1["b<br/>Completed"]
      t2["c<br/>Completed"]
    end
    t3["d<br/>Completed"]
  end
  t4["e<br/>Completed"]
`);
  });

  it('takes names for text, whatever is in them', () => {
    const text = graph([node('a', { name: '`x` "y" <b>&\n#1;\\', stateName: null, stateType: null })]);
    expect(text).toContain('["#96;x#96; #34;y#34; #60;b#62;#38; #35;1;#92;<br/>"]');
  });

  it('of nothing is a chart without boxes', () => {
    expect(graph([])).toBe('flowchart TD\n');
  });
});
