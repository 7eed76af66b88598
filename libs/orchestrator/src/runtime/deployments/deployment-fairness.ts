import { createHash } from 'node:crypto';
import { durationMs } from '@nestor/core';
import type { StoredFairness } from '../../records/deployments/deployment.entity.js';
import type { FairShare } from '../../records/flow-runs/waiting-flow-run-rows.js';
import { isFairnessKey, isWeight, WEIGHTS } from '../scheduling/fair-share.js';
import { InvalidDeploymentError } from './deployment-errors.js';
import type { DeploymentFairness, DeploymentOptions, ParametersByName } from './deployment-options.js';

const MAX_PATH = 200;
const MAX_WEIGHTS = 1_000;
const MAX_COUNT = 1_000_000;
const PERIOD_MS = { least: 1, most: 30 * 86_400_000 };
/** What of a value that is longer than a key becomes part of one: the rest is told apart by a hash. */
const KEPT = 150;

/**
 * How the runs of a deployment take turns, as it is kept.
 *
 * @param deployment for messages.
 * @throws {InvalidDeploymentError} when it cannot be meant.
 */
export function checkedFairness(
  { fairness, concurrency }: Pick<DeploymentOptions, 'fairness' | 'concurrency'>,
  deployment: string,
): StoredFairness | null {
  if (fairness === undefined) return null;
  const check = (holds: boolean, field: string, problem: string): void => {
    if (!holds) throw new InvalidDeploymentError(deployment, field, problem);
  };
  const { key, weights = {}, defaultWeight = 1, concurrency: perKey, rate } = fairness;
  const isPath = typeof key === 'string' && key.length <= MAX_PATH && /^[^\0.]+(\.[^\0.]+)*$/.test(key);
  check(
    isPath,
    'fairness.key',
    `is ${JSON.stringify(key)} and must be the path of a parameter: "tenant" or "order.tenant".`,
  );
  check(Object.keys(weights).length <= MAX_WEIGHTS, 'fairness.weights', `are more than ${MAX_WEIGHTS}.`);
  for (const [one, weight] of Object.entries(weights)) {
    check(isFairnessKey(one), 'fairness.weights', 'has a key that has not 1 to 200 characters, or a NUL among them.');
    check(isWeight(weight), `fairness.weights.${one}`, `is ${String(weight)} and must be ${WEIGHTS}.`);
  }
  check(isWeight(defaultWeight), 'fairness.defaultWeight', `is ${String(defaultWeight)} and must be ${WEIGHTS}.`);
  const isLimit = perKey === undefined || isCount(perKey);
  check(isLimit, 'fairness.concurrency', `is ${String(perKey)} and must be a whole number from 1 to ${MAX_COUNT}.`);
  const replaces = typeof concurrency === 'object' && (concurrency.onCollision ?? 'ENQUEUE') !== 'ENQUEUE';
  check(
    perKey === undefined || !replaces,
    'fairness.concurrency',
    'lets runs wait, and "concurrency.onCollision" does something else with those that find no slot.',
  );
  return { key, weights, default_weight: defaultWeight, concurrency: perKey ?? null, rate: rateOf(rate, check) };
}

function rateOf(
  rate: DeploymentFairness['rate'],
  check: (holds: boolean, field: string, problem: string) => void,
): StoredFairness['rate'] {
  if (rate === undefined) return null;
  check(
    isCount(rate.limit),
    'fairness.rate.limit',
    `is ${rate.limit} and must be a whole number from 1 to ${MAX_COUNT}.`,
  );
  const periodMs = durationMs(rate.period, 'fairness.rate.period');
  const isBearable = periodMs >= PERIOD_MS.least && periodMs <= PERIOD_MS.most;
  check(isBearable, 'fairness.rate.period', `is ${periodMs} ms and must be from 1 ms to 30 days.`);
  return { limit: rate.limit, period_ms: periodMs };
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MAX_COUNT;
}

type Schema = Readonly<Record<string, unknown>>;

/**
 * @param schema what the flow takes.
 * @throws {InvalidDeploymentError} when it takes nothing that could be the key. Of what the schema does not
 * describe everything may be.
 */
export function checkFairnessKey({ key }: StoredFairness, schema: Schema, deployment: string): void {
  let place: Schema = schema;
  for (const name of key.split('.')) {
    const properties = resolved(place, schema).properties as Record<string, Schema> | undefined;
    if (!properties || Object.keys(properties).length === 0) return;
    const next = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (!next) {
      const known = Object.keys(properties).join(', ');
      throw new InvalidDeploymentError(
        deployment,
        'fairness.key',
        `is "${key}", and there is no "${name}" among ${known}.`,
      );
    }
    place = next;
  }
  const { type } = resolved(place, schema);
  if (type === 'object' || type === 'array') {
    throw new InvalidDeploymentError(
      deployment,
      'fairness.key',
      `is "${key}", which is an ${type} and no text or number.`,
    );
  }
}

/** What a part of a schema says, also when it refers to another part: as `{ $ref }`, or as `{ allOf: [{ $ref }] }`. */
function resolved(part: Schema, schema: Schema): Schema {
  const [only, ...others] = Array.isArray(part.allOf) ? (part.allOf as Schema[]) : [];
  if (only && others.length === 0) return resolved(only, schema);
  const name = typeof part.$ref === 'string' ? /^#\/definitions\/(.+)$/.exec(part.$ref) : null;
  if (!name) return part;
  const parts = schema.definitions as Record<string, Schema> | undefined;
  return parts?.[name[1] ?? ''] ?? {};
}

/** The share of a run with these parameters; `null` when they have no key, or one that is no text, number or truth value. */
export function shareOf(fairness: StoredFairness | null, parameters: ParametersByName): FairShare | null {
  if (!fairness) return null;
  let value: unknown = parameters;
  for (const name of fairness.key.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return null;
    value = (value as Record<string, unknown>)[name];
  }
  if (!['string', 'number', 'boolean', 'bigint'].includes(typeof value) || value === '') return null;
  const text = String(value);
  const key = isFairnessKey(text) ? text : shortened(text);
  const { weights, default_weight: usual } = fairness;
  return { key, weight: (Object.hasOwn(weights, key) ? weights[key] : undefined) ?? usual };
}

function shortened(text: string): string {
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 32);
  return `${text.replaceAll('\0', '').slice(0, KEPT)}…${hash}`;
}
