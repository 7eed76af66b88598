import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newId } from '../../persistence/ids.js';
import { DirectoryPayloadStore } from './directory-payload-store.js';

describe('a directory of payloads', () => {
  let home: string;
  let store: DirectoryPayloadStore;
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'payloads-'));
    store = new DirectoryPayloadStore({ directory: join(home, 'deep', 'payloads') });
  });
  afterEach(() => rm(home, { recursive: true }));

  const files = async (): Promise<string[]> =>
    (await readdir(home, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name));

  it('keeps bytes, gives them and forgets them', async () => {
    const id = newId();
    expect(await store.get(id)).toBeNull();
    await store.put(id, Buffer.from([0, 255, 10]));
    expect(await store.get(id)).toEqual(Buffer.from([0, 255, 10]));
    await store.put(id, Buffer.from([0, 255, 10])); // a repetition
    await store.delete(id);
    await store.delete(id);
    expect(await store.get(id)).toBeNull();
    expect(await files()).toEqual([]);
  });

  it('has one folder per day, and files for its user alone', async () => {
    const id = '019c13ec-9e00-7000-98e7-1976c9bbcf07';
    await store.put(id, Buffer.from('a'));
    const path = join(home, 'deep', 'payloads', '2026-01-31', id);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(home, 'deep'))).mode & 0o777).toBe(0o700);
  });

  it('keeps many at once', async () => {
    const ids = Array.from({ length: 50 }, newId);
    await Promise.all(ids.map((id) => store.put(id, Buffer.from(id))));
    for (const id of ids) expect((await store.get(id))?.toString()).toBe(id);
    expect(await files()).toHaveLength(50);
  });

  it('leaves nothing behind of what it could not keep', async () => {
    const id = newId();
    await expect(store.put(id, {} as Uint8Array)).rejects.toThrow(/"data" argument/);
    expect(await files()).toEqual([]);
    await writeFile(join(home, 'in-the-way'), '');
    const elsewhere = new DirectoryPayloadStore({ directory: join(home, 'in-the-way') });
    await expect(elsewhere.put(id, Buffer.from('a'))).rejects.toMatchObject({ code: 'ENOTDIR' });
  });

  it.each(['../../etc/passwd', '', 'A1A201CF-F4DD-7000-98E7-1976C9BBCF07', `${newId()}/../x`])(
    'reads and writes nothing outside of it: %j',
    async (key) => {
      await expect(store.get(key)).rejects.toThrow('no key of a payload');
      await expect(store.put(key, Buffer.from('a'))).rejects.toThrow('no key of a payload');
      await expect(store.delete(key)).rejects.toThrow('no key of a payload');
    },
  );
});
