import type { JsonSchema } from '../parameters/parameter-schema.js';

/** What a pause asks for. */
interface AskedInput {
  readonly schema: JsonSchema;
  readonly description: string | null;
  /** The answer as the flow is to get it. @throws {InvalidRunInputError} or rejects with it, when it does not fit. */
  readonly take: (input: unknown, flowRunId: string) => unknown;
}

/** A pause that the code of a flow asks for. */
export interface PauseRequest {
  readonly how: 'pause' | 'suspend';
  /** Names the pause; `null`: by its place in the run. */
  readonly key: string | null;
  /** `null` for no limit. */
  readonly timeoutMs: number | null;
  readonly asked: AskedInput | null;
}
