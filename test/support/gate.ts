/** A point in the code of a run at which a test lets it wait, so that what happens meanwhile is no matter of timing. */
export class Gate {
  private readonly arrival = deferred();
  private readonly opening = deferred();

  /** Called by the run: waits until the test opens the gate. */
  async pass(): Promise<void> {
    this.arrival.resolve();
    await this.opening.promise;
  }

  /** Resolves as soon as somebody waits at the gate. */
  get reached(): Promise<void> {
    return this.arrival.promise;
  }

  open(): void {
    this.opening.resolve();
  }
}

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}
