import type { ParameterSchema } from './parameter-schema.js';

/** What a flow takes, as far as the types of its method tell. */
export interface FlowParameters {
  readonly schema: ParameterSchema;
  /**
   * The arguments as the method is to get them: converted where they can be taken for what they should be, instances where
   * classes are asked for. A promise only where classes are. `null` when there is nothing to check.
   *
   * @param args decoded anew: it is theirs to change.
   * @throws {InvalidParametersError} when something is wrong, or rejects with it.
   */
  readonly validated: ((args: readonly unknown[]) => readonly unknown[] | Promise<readonly unknown[]>) | null;
}
