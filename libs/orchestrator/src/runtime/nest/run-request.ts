/**
 * What `@Inject(REQUEST)` gives in a provider that is made for a run: what an HTTP request is to a provider that is made for
 * that. It is made from what is recorded, so it says the same when the run goes on in another process.
 *
 * A `ContextIdStrategy` gets it too, beside the requests of other transports: `request instanceof RunRequest` tells.
 */
export class RunRequest {
  /** @internal */
  constructor(
    /** `null` for a task that was called outside any flow. */
    readonly flowRunId: string | null,
    readonly flowRunName: string | null,
    readonly flowName: string | null,
    /** The parameters of the flow run by name, as they are recorded; of a task outside any flow, its arguments. */
    readonly parameters: Readonly<Record<string, unknown>>,
    readonly tags: readonly string[],
  ) {}
}
