import { schemaProblems } from '@nestor/core';
import type { ParameterProblem } from '../parameters/parameter-problem.js';
import { referencesIn } from '../references/referring-data.js';
import type { ParametersByName } from './deployment-options.js';

type Schema = Readonly<Record<string, unknown>>;

/** What is wrong with the parameters that a run is to be called with; of what references refer to nothing is known. */
export function parameterProblems(schema: Schema, parameters: ParametersByName): ParameterProblem[] {
  const references = referencesIn(parameters);
  const isKnown = ({ path }: ParameterProblem): boolean => !references.some((one) => isWithin(path, one.path));
  return [...unknownPositions(schema, parameters), ...schemaProblems(schema, plain(parameters)).filter(isKnown)];
}

function isWithin(path: string, place: string): boolean {
  return path === place || path.startsWith(`${place}.`) || path.startsWith(`${place}[`);
}

/** What is wrong with some of the parameters: those that are missing may come with the run. */
export function partialParameterProblems(schema: Schema, parameters: ParametersByName): ParameterProblem[] {
  const { required: _, ...partial } = schema;
  return parameterProblems(partial, parameters);
}

/** Of arguments that go by their position the schema does not say that there are no others. */
function unknownPositions(schema: Schema, parameters: ParametersByName): ParameterProblem[] {
  const known = Object.keys(schema.properties ?? {});
  if (known.length === 0 || !known.every((name) => /^\d+$/.test(name))) return [];
  return Object.keys(parameters)
    .filter((name) => !/^\d+$/.test(name))
    .map((name) => ({ path: name, problem: `is no parameter; they are ${known.join(', ')}` }));
}

/** As JSON, which schemas speak of. */
function plain(parameters: ParametersByName): unknown {
  const text = JSON.stringify(parameters, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
  return JSON.parse(text) as unknown;
}
