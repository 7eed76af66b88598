/** Changes the form in which payloads leave the process: encrypts or compresses them, for instance. */
export interface PayloadCodec {
  /** Stands beside every payload it was applied to: never change it while such payloads live. */
  readonly name: string;

  /**
   * The form in which the bytes are kept; `null` leaves them as they are. They are the UTF-8 text of a value, or what the
   * codec before made of it.
   */
  encode(bytes: Uint8Array): Uint8Array | null | Promise<Uint8Array | null>;

  /**
   * The inverse.
   *
   * @throws when it cannot be what `encode` gave, or not be read any more; the message says why.
   */
  decode(bytes: Uint8Array): Uint8Array | Promise<Uint8Array>;
}
