/** How an input is sent. */
export interface SendInputOptions {
  /**
   * What the receiver tells inputs apart by, when it waits for one. Default: the class of the value, in lower case, and `-auto`;
   * `receiveInput` of that class waits for just these.
   */
  readonly keyPrefix?: string;
  /** Who sends it. Default: the flow run that does, as `prefect.flow-run.<id>`; outside flow runs nobody. */
  readonly sender?: string;
}

/** What the code of a flow waits for. */
export interface ExpectedInput {
  /** Only inputs whose keys begin with it and a dash. */
  readonly keyPrefix: string;
  /** Whose inputs; `null`: those of the run that asks. */
  readonly flowRunId: string | null;
  /** `null` for no limit. */
  readonly timeoutMs: number | null;
}

/** An input that a run has received. */
export interface ArrivedInput {
  readonly value: unknown;
  readonly key: string;
  readonly sender: string | null;
  readonly sentAt: Date;
}

const SENDER = 'prefect.flow-run.';

/** How the contract calls a flow run that sends an input. */
export function senderName(flowRunId: string): string {
  return `${SENDER}${flowRunId}`;
}

/** The flow run that sent an input; `null` when none did. */
export function runOfSender(sender: string | null): string | null {
  return sender?.startsWith(SENDER) ? sender.slice(SENDER.length) : null;
}

/** By which prefix inputs of a class are told from others, unless they are given one. */
export function keyPrefixOfType(type: { readonly name: string }): string {
  return `${type.name.toLowerCase()}-auto`;
}
