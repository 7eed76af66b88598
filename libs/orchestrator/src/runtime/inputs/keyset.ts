/** Under which keys the input that a pause asks for is described and kept, as the contract has them. */
export interface InputKeyset {
  readonly schema: string;
  readonly description: string;
  readonly response: string;
}

/** That of a pause, by the name of its state. */
export function keysetOf(how: 'pause' | 'suspend', pauseKey: string): InputKeyset {
  const base = `${how === 'pause' ? 'paused' : 'suspended'}-${pauseKey}`;
  return { schema: `${base}-schema`, description: `${base}-description`, response: `${base}-response` };
}
