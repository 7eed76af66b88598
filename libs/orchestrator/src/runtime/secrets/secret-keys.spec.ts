import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { secretKeySettings } from '../../orchestrator.options.js';
import { secretKeysOf } from './secret-key-option.js';
import { SecretKeys } from './secret-keys.service.js';

const newKey = (): string => randomBytes(32).toString('base64');
const url = 'postgres://a@b/c';

describe('the keys of secrets', () => {
  let home: string;
  let file: string;
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'secret-keys-'));
    file = join(home, 'data', 'secret.key');
  });
  afterEach(() => rm(home, { recursive: true }));

  /** As another process has them. */
  const keys = (secretKey?: string, database: object = { home: join(home, 'data') }): SecretKeys =>
    new SecretKeys(secretKeySettings({ database, ...(secretKey !== undefined && { secretKey }) }));

  it('are those of the option, which needs no file', async () => {
    const option = newKey();
    const bytes = (await keys(option, { url }).forWriting()).encrypt(Buffer.from('a'));
    expect((await keys(`${newKey()}, ${option}`).forReading()).decrypt(bytes).toString()).toBe('a');
    expect(await readdir(home)).toEqual([]);
  });

  it('are told apart by their ids, or by what they are', () => {
    const [one, other] = [newKey(), randomBytes(32).toString('hex')];
    expect(secretKeysOf(`2026:${one}, ${other}`)).toEqual([
      { id: '2026', key: one },
      { id: expect.stringMatching(/^[0-9a-f]{8}$/), key: other },
    ]);
    const inBase64 = Buffer.from(other, 'hex').toString('base64');
    expect(secretKeysOf(inBase64)[0]!.id).toBe(secretKeysOf(other)[0]!.id);
    expect(secretKeysOf(undefined)).toEqual([]);
    expect(secretKeysOf({ id: 'a', key: one })).toEqual([{ id: 'a', key: one }]);
  });

  it.each(['hunter2', '', 'a:', ','])('are not made of %j', (secretKey) => {
    expect(() => keys(secretKey)).toThrow(/^Option "secretKey" of OrchestratorModule has the key ".*" of \d+ bytes/);
    expect(() => keys(secretKey)).not.toThrow(/hunter2/);
  });

  it('are made beside the embedded database when a secret is kept, for its user alone [X04]', async () => {
    await expect(keys().forReading()).rejects.toMatchObject({ code: 'SECRET_KEY_MISSING' });
    expect(await readdir(home)).toEqual([]);
    const bytes = (await keys().forWriting()).encrypt(Buffer.from('a'));
    expect((await keys().forReading()).decrypt(bytes).toString()).toBe('a');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(join(home, 'data'))).toEqual(['secret.key']);
  });

  it('are one key, though many processes make it at once', async () => {
    const rings = await Promise.all(Array.from({ length: 20 }, () => keys().forWriting()));
    const bytes = rings[0]!.encrypt(Buffer.from('a'));
    for (const ring of rings) expect(ring.decrypt(bytes).toString()).toBe('a');
    expect(await readdir(join(home, 'data'))).toEqual(['secret.key']);
  });

  it('are those of the file too when there is an option', async () => {
    const bytes = (await keys().forWriting()).encrypt(Buffer.from('a'));
    const later = newKey();
    const ring = await keys(later).forWriting();
    expect(ring.decrypt(bytes).toString()).toBe('a');
    expect((await keys(later, { url }).forReading()).decrypt(ring.encrypt(Buffer.from('b'))).toString()).toBe('b');
  });

  it('are several, one per line, when the file has them', async () => {
    const bytes = (await keys().forWriting()).encrypt(Buffer.from('a'));
    await writeFile(file, `${newKey()}\n\n${await readFile(file, 'utf8')}`);
    const ring = await keys().forReading();
    expect(ring.decrypt(bytes).toString()).toBe('a');
    expect(ring.isCurrent(bytes)).toBe(false);
  });

  it('are missing with a server of one’s own and no option', async () => {
    const none = keys(undefined, { url });
    for (const asked of [none.forReading(), none.forWriting()]) {
      await expect(asked).rejects.toMatchObject({
        code: 'SECRET_KEY_MISSING',
        message: expect.stringContaining('NESTOR_SECRET_KEY'),
      });
    }
  });

  it.each<[string, () => Promise<void>, RegExp]>([
    ['that others may read', () => chmod(file, 0o640), /others than its owner may read it; chmod 600/],
    ['that is damaged', () => writeFile(file, 'c2hvcnQ=\n'), /has the key ".*" of 5 bytes; it must have 32/],
    ['that is empty', () => writeFile(file, '\n'), /has no key/],
  ])('are not read from a file %s', async (_, spoil, problem) => {
    await keys().forWriting();
    await spoil();
    await expect(keys().forReading()).rejects.toMatchObject({ code: 'SECRET_KEY_FILE_UNUSABLE', file });
    await expect(keys().forWriting()).rejects.toThrow(problem);
  });

  it('are not made where there is no place for a file', async () => {
    await writeFile(join(home, 'data'), 'in the way');
    await expect(keys().forWriting()).rejects.toMatchObject({ code: 'SECRET_KEY_FILE_UNUSABLE' });
  });
});
