import * as fc from 'fast-check';
import { Branch, scopeOfKey } from './branch.js';

/** The part of a key that says with which inputs the call was made, and the one that says which of those it was. */
const inputsOf = (key: string): string => key.slice(key.indexOf('.') + 1, key.lastIndexOf('-'));
const occurrenceOf = (key: string): number => Number(key.slice(key.lastIndexOf('-') + 1));
const taskBody = (dynamicKey: string): Branch => Branch.ofTask({ taskKey: 'Orders.ship', dynamicKey }, 1);

describe('the key of a call', () => {
  it('is the same for the same calls in another run of the body', () => {
    const keys = () => {
      const body = Branch.ofFlow();
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
    const [first, second] = [Branch.ofFlow(), Branch.ofFlow()];
    const there = [first.keyOf('load', ['a']), first.keyOf('load', ['b']), first.keyOf('load', ['c'])];
    const back = [second.keyOf('load', ['c']), second.keyOf('load', ['b']), second.keyOf('load', ['a'])];
    expect(back.reverse()).toEqual(there);
  });

  it('does not depend on what else is called in between', () => {
    const [first, second] = [Branch.ofFlow(), Branch.ofFlow()];
    second.keyOf('other', [1]);
    second.keyOf('load', ['something else']);
    expect(second.keyOf('load', [1])).toBe(first.keyOf('load', [1]));
  });

  it('tells equal calls apart by their order', () => {
    const body = Branch.ofFlow();
    const keys = [body.keyOf('load', [1]), body.keyOf('load', [1]), body.keyOf('load', [1])];
    expect(new Set(keys.map((key) => key.replace(/-\d+$/, ''))).size).toBe(1);
    expect(keys.map(occurrenceOf)).toEqual([0, 1, 2]);
  });

  it('counts equal inputs of different tasks apart', () => {
    const body = Branch.ofFlow();
    expect([body.keyOf('load', [1]), body.keyOf('ship', [1])].map(occurrenceOf)).toEqual([0, 0]);
  });

  it.each<[string, unknown[], unknown[]]>([
    ['the order of fields', [{ a: 1, b: 2 }], [{ b: 2, a: 1 }]],
    ['a field that is undefined', [{ a: 1, b: undefined }], [{ a: 1 }]],
  ])('does not depend on %s', (_, one, other) => {
    expect(Branch.ofFlow().keyOf('load', one)).toBe(Branch.ofFlow().keyOf('load', other));
  });

  it.each<[string, unknown[], unknown[]]>([
    ['values', [1], [2]],
    ['types', [1], ['1']],
    ['numbers of arguments', [1], [1, 1]],
    ['an argument and a list of it', [1], [[1]]],
    ['orders of arguments', [1, 2], [2, 1]],
  ])('tells different %s apart', (_, one, other) => {
    const body = Branch.ofFlow();
    expect(inputsOf(body.keyOf('load', one))).not.toBe(inputsOf(body.keyOf('load', other)));
  });

  it('tells branches apart: other bodies, other items, other names, and those within each other', () => {
    const body = Branch.ofFlow();
    const branches = [
      body,
      ...[taskBody('a'), taskBody('b')],
      ...[body.item(0), body.item(1), body.item(0).item(1), body.item(1).item(0)],
      ...[body.named('eu'), body.named('us'), body.named('eu').named('us'), body.named('eu/us'), body.named('0')],
      ...[body.named('[0]'), body.named('eu').item(0), body.item(0).named('eu'), body.named('eu[0]'), body.named('')],
    ];
    expect(new Set(branches.map((branch) => branch.keyOf('load', [1]))).size).toBe(branches.length);
  });

  it('tells the bodies of different calls of a task apart, and those of its attempts', () => {
    const call = { taskKey: 'Orders.ship', dynamicKey: 'a.b-0' };
    const branches = [
      Branch.ofTask(call, 1),
      Branch.ofTask(call, 2),
      Branch.ofTask({ ...call, dynamicKey: 'a.b-1' }, 1),
      Branch.ofTask({ ...call, taskKey: 'Orders.load' }, 1),
      Branch.ofFlow(),
    ];
    expect(new Set(branches.map(({ scope }) => scope)).size).toBe(branches.length);
    expect(Branch.ofTask(call, 1).scope).toBe(branches[0]!.scope);
  });

  it('begins with the scope of its branch', () => {
    for (const branch of [Branch.ofFlow(), Branch.ofFlow().item(3), taskBody('a').named('eu')]) {
      for (const key of [branch.keyOf('load', [1]), branch.keyOf('load', [() => 1]), branch.keyOfValue('now')]) {
        expect(scopeOfKey(key)).toBe(branch.scope);
      }
    }
  });

  it('is made of its scope, its inputs and its occurrence, and holds nothing else than those', () => {
    expect(Branch.ofFlow().keyOf('load', [1])).toMatch(/^[\w-]{11}\.[\w-]{16}-0$/);
  });

  it('is one of its own for every branch, whatever branches are called and however they lie within each other', () => {
    const steps = fc.array(fc.oneof(fc.nat(12), fc.string({ unit: 'grapheme', maxLength: 4 })), { maxLength: 4 });
    const branchAt = (path: (number | string)[]): Branch =>
      path.reduce(
        (branch: Branch, step) => (typeof step === 'number' ? branch.item(step) : branch.named(step)),
        Branch.ofFlow(),
      );
    fc.assert(
      fc.property(steps, steps, (one, other) => {
        const isSame = JSON.stringify(one) === JSON.stringify(other);
        expect(branchAt(one).scope === branchAt(other).scope).toBe(isSame);
      }),
      { numRuns: 1_000 },
    );
  });

  it('of a value that is drawn is told from those of calls and of other values, and counted', () => {
    const body = Branch.ofFlow();
    const keys = [
      ...[body.keyOfValue('now'), body.keyOfValue('now'), body.keyOfValue('uuid'), body.item(0).keyOfValue('now')],
      ...[body.keyOf('now', []), body.keyOf('now', [() => 1])],
    ];
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys.map(occurrenceOf)).toEqual([0, 1, 0, 0, 0, 0]);
  });

  it('does not depend on how the items of a list interleave', () => {
    const keys = (order: number[]) => {
      const body = Branch.ofFlow();
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
    const body = Branch.ofFlow();
    const first = body.item(0).keyOf('load', [1]);
    const second = body.item(0).keyOf('load', [1]);
    expect(first.replace(/-0$/, '-1')).toBe(second);
  });

  describe('whose inputs have no form', () => {
    const loop: unknown[] = [];
    loop.push(loop);

    it.each<[string, unknown[]]>([
      ['a function', [() => 1]],
      ['a cycle', [loop]],
    ])('is its place in the order of such calls: %s', (_, args) => {
      const body = Branch.ofFlow();
      const keys = [body.keyOf('load', args), body.keyOf('load', args), body.keyOf('ship', args)];
      expect(keys.map(inputsOf)).toEqual(['order', 'order', 'order']);
      expect(keys.map(occurrenceOf)).toEqual([0, 1, 0]);
      expect(Branch.ofFlow().keyOf('load', args)).toBe(keys[0]);
    });

    it('is counted for each branch by itself', () => {
      const body = Branch.ofFlow();
      const [one, other] = [body.item(0), body.item(1)];
      const keys = [one.keyOf('load', [loop]), other.keyOf('load', [loop]), one.keyOf('load', [loop])];
      expect(keys.map(occurrenceOf)).toEqual([0, 0, 1]);
      expect(new Set(keys).size).toBe(3);
    });
  });
});
