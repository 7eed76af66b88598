/** A work pool that this process serves. */
export interface ServedWorkPool {
  readonly name: string;
  readonly type: string;
  /** Only these queues of it; left out for all. */
  readonly queues?: readonly string[];
  /** How many of its runs this process executes at a time; left out for what is usual of its type. */
  readonly limit?: number;
}

/** What the bundled orchestrator can serve. */
const TYPES = ['nest', 'nest-process', 'nest-thread', 'http-push'];
const NAME = /^[^/%&<>]{1,200}$/;
const MOST = 10_000;

/** What is wrong with `NESTOR_WORK_POOLS`, in words. */
export function workPoolProblems(text: string | undefined): string[] {
  const pools = entriesOf(text);
  const names = pools.map(({ name }) => name);
  const isFine = pools.every(
    ({ name, queues, type, limit, rest }) =>
      [name, ...queues].every((one) => NAME.test(one)) &&
      TYPES.includes(type) &&
      rest.length === 0 &&
      (limit === undefined || isCount(limit)),
  );
  if (!isFine) {
    return [
      `NESTOR_WORK_POOLS must name pools with commas between, each with queues after slashes, and a type (${TYPES.join(', ')}) and a limit ` +
        `of 1 to ${MOST} after colons if you like, such as etl,heavy/nightly:nest-process:4`,
    ];
  }
  const twice = names.find((name, index) => names.indexOf(name) < index);
  return twice === undefined ? [] : [`NESTOR_WORK_POOLS names "${twice}" twice`];
}

/** The pools that `NESTOR_WORK_POOLS` names; it has no problems. */
export function servedPools(text: string | undefined): readonly ServedWorkPool[] {
  return entriesOf(text).map(({ name, queues, type, limit }) => ({
    ...{ name, type },
    ...(queues.length > 0 && { queues }),
    ...(limit !== undefined && { limit: Number(limit) }),
  }));
}

function entriesOf(text = '') {
  if (text.trim() === '') return [];
  return text.split(',').map((entry) => {
    const [place = '', type = 'nest', limit, ...rest] = entry.split(':').map((part) => part.trim());
    const [name = '', ...queues] = place.split('/').map((part) => part.trim());
    return { name, queues, type, limit, rest };
  });
}

function isCount(text: string): boolean {
  return /^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= MOST;
}
