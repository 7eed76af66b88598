import { PauseGate } from './pause-gate.js';

/** Whether somebody who asks for passage gets it without anything else happening. */
async function lets(gate: PauseGate): Promise<boolean> {
  let passed = false;
  void gate.passage().then(() => (passed = true));
  await new Promise((resolve) => setImmediate(resolve));
  return passed;
}

describe('the gate of a run', () => {
  it('is open at first', async () => {
    const gate = new PauseGate(null);
    expect(gate.isClosed).toBe(false);
    expect(await lets(gate)).toBe(true);
  });

  it('holds up everybody while it is closed, and nobody afterwards', async () => {
    const gate = new PauseGate(null);
    gate.close();
    expect(gate.isClosed).toBe(true);
    const passages = [gate.passage(), gate.passage()];
    expect(await lets(gate)).toBe(false);

    gate.open();
    await Promise.all(passages);
    expect(gate.isClosed).toBe(false);
    expect(await lets(gate)).toBe(true);
  });

  it('is opened by one opening, however often it was closed', async () => {
    const gate = new PauseGate(null);
    gate.close();
    const passage = gate.passage();
    gate.close();
    gate.open();
    await passage;
    expect(gate.isClosed).toBe(false);
  });

  it('may be opened when it is open', async () => {
    const gate = new PauseGate(null);
    gate.open();
    expect(await lets(gate)).toBe(true);
  });

  it('holds up who was on the way when it is closed again before they have passed', async () => {
    const gate = new PauseGate(null);
    gate.close();
    let passed = false;
    const passage = gate.passage().then(() => (passed = true));
    gate.open();
    gate.close();
    expect(await lets(gate)).toBe(false);
    expect(passed).toBe(false);
    gate.open();
    await passage;
  });

  describe('within the run that called it', () => {
    it('holds up while either is closed, in whatever order they open', async () => {
      for (const outerFirst of [true, false]) {
        const outer = new PauseGate(null);
        const inner = new PauseGate(outer);
        outer.close();
        inner.close();
        const passage = inner.passage();
        const [first, second] = outerFirst ? [outer, inner] : [inner, outer];
        first.open();
        expect([inner.isClosed, await lets(inner)]).toEqual([true, false]);
        second.open();
        await passage;
        expect(inner.isClosed).toBe(false);
      }
    });

    it('does not hold the other up', async () => {
      const outer = new PauseGate(null);
      const inner = new PauseGate(outer);
      inner.close();
      expect([outer.isClosed, await lets(outer), await lets(inner)]).toEqual([false, true, false]);
    });
  });
});
