// What must not compile, and what must: checked by `npm run check:types`, never run.
import {
  Block,
  SecretField,
  type Artifacts,
  type Blocks,
  type Events,
  type JsonValue,
  type Secret,
  type Variables,
} from '@nestor/orchestrator';

@Block({ slug: 'good' })
class Good {
  @SecretField()
  password!: Secret;

  host = 'a';
}

// @ts-expect-error a block is constructed without arguments
@Block({ slug: 'with-arguments' })
class WithArguments {
  constructor(readonly host: string) {}
}

// @ts-expect-error a block has a slug
@Block({ name: 'No slug' })
class WithoutSlug {}

export async function blocks(service: Blocks, secret: Secret): Promise<void> {
  const good: Good = await service.load(Good, 'a');
  const text: string = good.password.reveal();
  await service.save('a', good, { overwrite: true });
  await service.loadRaw('good', text);
  // @ts-expect-error it cannot be constructed without arguments
  await service.load(WithArguments, 'a');
  // @ts-expect-error a secret is no text
  const shown: string = good.password;
  // @ts-expect-error nor is a text a secret
  good.password = 'plain';
  // @ts-expect-error secrets do not change
  secret.value = shown;
  void WithoutSlug;
}

interface Limits {
  readonly most: number;
  readonly regions?: readonly string[];
}

export async function variables(service: Variables, limits: Limits, json: JsonValue): Promise<void> {
  const limit: number = await service.get<number>('limit');
  const either: number | null = await service.get<number | null>('limit', null);
  const region: string = await service.get('region', 'eu');
  const got: Limits = await service.get<Limits>('limits');
  await service.set('limits', limits);
  await service.set('limits', [got, { [region]: null }]);
  await service.set('json', json);
  await service.set('a', { list: [limit, either, 'a', true] }, { tags: ['x'] });
  // @ts-expect-error JSON has no word for a date
  await service.set('a', new Date());
  // @ts-expect-error nor for undefined
  await service.set('a', undefined);
  // @ts-expect-error nor for a function
  await service.set('a', { f: () => 1 });
  // @ts-expect-error nor for a map
  await service.set('a', { map: new Map() });
}

export async function artifacts(service: Artifacts): Promise<void> {
  await service.table({ table: [{ a: 1 }], key: 'a' });
  await service.table({ table: { a: [1] } });
  // @ts-expect-error rows are objects
  await service.table({ table: [[1]] });
  // @ts-expect-error columns are lists
  await service.table({ table: { a: 1 } });
  // @ts-expect-error Markdown is a text
  await service.markdown({ markdown: 1 });
  // @ts-expect-error an image has a URL
  await service.image({ key: 'a' });
  // @ts-expect-error progress is a number
  await service.updateProgress('a', '50');
}

export async function events(service: Events): Promise<void> {
  await service.emit({ event: 'a', resource: { id: 'a', labels: { b: 'c' } }, occurred: new Date() });
  // @ts-expect-error an event is about something
  await service.emit({ event: 'a' });
  // @ts-expect-error a label is a text
  await service.emit({ event: 'a', resource: { id: 'a', labels: { b: 1 } } });
  // @ts-expect-error a related resource has a role
  await service.emit({ event: 'a', resource: { id: 'a' }, related: [{ id: 'b' }] });
}
