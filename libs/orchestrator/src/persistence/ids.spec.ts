import { derivedId, msOfId, newId, newIdBeside } from './ids.js';

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe('newId', () => {
  afterEach(() => jest.useRealTimers());

  it('is a UUID of version 7 and of the moment', () => {
    const before = Date.now();
    const id = newId();
    expect(id).toMatch(UUID_V7);
    expect(msOfId(id)).toBeGreaterThanOrEqual(before);
  });

  it('sorts as made, however many are made at once', () => {
    const ids = Array.from({ length: 20_000 }, newId);
    expect([...ids].sort()).toEqual(ids);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('borrows the next millisecond when one is used up', () => {
    jest.useFakeTimers({ now: Date.now() + 60_000 });
    const ids = Array.from({ length: 4_097 }, newId);
    const [first, last] = [msOfId(ids[0]!), msOfId(ids[4_096]!)];
    expect(msOfId(ids[4_095]!)).toBe(first);
    expect(last).toBe(first + 1);
    expect([...ids].sort()).toEqual(ids);
  });

  it('goes on in order when the clock is set back', () => {
    jest.useFakeTimers({ now: Date.now() + 120_000 });
    const before = newId();
    jest.setSystemTime(Date.now() - 3_600_000);
    const after = newId();
    expect(after > before).toBe(true);
    expect(after).toMatch(UUID_V7);
  });
});

describe('derivedId', () => {
  const parent = '01a201cd-21b4-7000-a704-ca5f5377fd7a';

  it('is the same for the same parent and name, in this and every release', () => {
    expect(derivedId(parent, 'load')).toBe(derivedId(parent, 'load'));
    expect(derivedId(parent, 'load')).toBe('01a201cd-21b4-7b7e-b3d2-7c7fd3e97c18');
  });

  it('is a UUID of version 7 in the millisecond of its parent, so that both lie in the same partition', () => {
    const id = derivedId(parent, 'load');
    expect(id).toMatch(UUID_V7);
    expect(msOfId(id)).toBe(msOfId(parent));
  });

  it('differs by parent and by name, also where the two joined are alike', () => {
    const ids = [
      derivedId(parent, 'load'),
      derivedId(parent, 'ship'),
      derivedId(parent, ''),
      derivedId('01a201cd-21b4-7000-a704-ca5f5377fd7b', 'load'),
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('may itself be a parent', () => {
    expect(msOfId(derivedId(derivedId(parent, 'a'), 'b'))).toBe(msOfId(parent));
  });
});

describe('newIdBeside', () => {
  it('is a new id in the millisecond of the other', () => {
    const id = newId();
    const beside = [newIdBeside(id), newIdBeside(id)];
    expect(new Set([id, ...beside]).size).toBe(3);
    for (const one of beside) expect(msOfId(one)).toBe(msOfId(id));
  });
});

describe('msOfId', () => {
  it('reads the time of an id', () => {
    expect(msOfId('01a201cd-21b4-7000-a704-ca5f5377fd7a')).toBe(0x01a201cd21b4);
    expect(msOfId('00000000-0000-7000-8000-000000000000')).toBe(0);
    expect(msOfId('ffffffff-ffff-7fff-bfff-ffffffffffff')).toBe(2 ** 48 - 1);
  });
});
