import { Branch } from './branch.js';

describe('the key of a call', () => {
  it('is the same for the same calls in another run of the body', () => {
    const keys = () => {
      const body = new Branch('');
      return [
        body.keyOf('load', [1]),
        body.keyOf('load', [2]),
        body.keyOf('ship', [1]),
        body.item(0).keyOf('load', [1]),
      ];
    };
    expect(keys()).toEqual(keys());
  });

  it('does not depend on the order of calls with different inputs', () => {
    const [first, second] = [new Branch(''), new Branch('')];
    const there = [first.keyOf('load', ['a']), first.keyOf('load', ['b']), first.keyOf('load', ['c'])];
    const back = [second.keyOf('load', ['c']), second.keyOf('load', ['b']), second.keyOf('load', ['a'])];
    expect(back.reverse()).toEqual(there);
  });

  it('does not depend on what else is called in between', () => {
    const [first, second] = [new Branch(''), new Branch('')];
    second.keyOf('other', [1]);
    second.keyOf('load', ['something else']);
    expect(second.keyOf('load', [1])).toBe(first.keyOf('load', [1]));
  });

  it('tells equal calls apart by their order', () => {
    const body = new Branch('');
    const keys = [body.keyOf('load', [1]), body.keyOf('load', [1]), body.keyOf('load', [1])];
    expect(keys.map((key) => key.replace(/-\d+$/, ''))).toEqual(Array(3).fill(keys[0]!.slice(0, -2)));
    expect(keys.map((key) => key.slice(-2))).toEqual(['-0', '-1', '-2']);
  });

  it('counts equal inputs of different tasks apart', () => {
    const body = new Branch('');
    expect([body.keyOf('load', [1]), body.keyOf('ship', [1])].map((key) => key.slice(-2))).toEqual(['-0', '-0']);
  });

  it.each<[string, unknown[], unknown[]]>([
    ['the order of fields', [{ a: 1, b: 2 }], [{ b: 2, a: 1 }]],
    ['a field that is undefined', [{ a: 1, b: undefined }], [{ a: 1 }]],
  ])('does not depend on %s', (_, one, other) => {
    expect(new Branch('').keyOf('load', one)).toBe(new Branch('').keyOf('load', other));
  });

  it.each<[string, unknown[], unknown[]]>([
    ['values', [1], [2]],
    ['types', [1], ['1']],
    ['numbers of arguments', [1], [1, 1]],
    ['an argument and a list of it', [1], [[1]]],
    ['orders of arguments', [1, 2], [2, 1]],
  ])('tells different %s apart', (_, one, other) => {
    const body = new Branch('');
    expect(body.keyOf('load', one).slice(0, 22)).not.toBe(body.keyOf('load', other).slice(0, 22));
  });

  it('tells branches apart: other bodies, other items, items within items', () => {
    const body = new Branch('a');
    const branches = [body, new Branch('b'), body.item(0), body.item(1), body.item(0).item(1), body.item(1).item(0)];
    expect(new Set(branches.map((branch) => branch.keyOf('load', [1]))).size).toBe(branches.length);
  });

  it('does not depend on how the items of a list interleave', () => {
    const keys = (order: number[]) => {
      const body = new Branch('');
      const items = [body.item(0), body.item(1), body.item(2)];
      const made = new Map(
        order.map((index, turn) => [
          `${index}:${order.slice(0, turn).filter((i) => i === index).length}`,
          items[index]!.keyOf('load', ['same']),
        ]),
      );
      return [...made].sort();
    };
    expect(keys([0, 1, 2, 0, 1, 2])).toEqual(keys([2, 2, 1, 0, 0, 1]));
  });

  it('tells the items of one list from those of the next by their order', () => {
    const body = new Branch('');
    const first = body.item(0).keyOf('load', [1]);
    const second = body.item(0).keyOf('load', [1]);
    expect([first.slice(0, 22), first.slice(-2), second.slice(-2)]).toEqual([second.slice(0, 22), '-0', '-1']);
  });

  describe('whose inputs have no form', () => {
    const loop: unknown[] = [];
    loop.push(loop);

    it.each<[string, unknown[]]>([
      ['a function', [() => 1]],
      ['a cycle', [loop]],
    ])('is its place in the order of such calls: %s', (_, args) => {
      const body = new Branch('');
      const keys = [body.keyOf('load', args), body.keyOf('load', args), body.keyOf('ship', args)];
      expect(keys.map((key) => key.split('-')[0])).toEqual(['o0', 'o1', 'o0']);
      expect(new Branch('').keyOf('load', args)).toBe(keys[0]);
    });

    it('is counted for each branch by itself', () => {
      const body = new Branch('');
      const [one, other] = [body.item(0), body.item(1)];
      const keys = [one.keyOf('load', [loop]), other.keyOf('load', [loop]), one.keyOf('load', [loop])];
      expect(keys.map((key) => key.split('-')[0])).toEqual(['o0', 'o0', 'o1']);
      expect(new Set(keys).size).toBe(3);
    });
  });
});
