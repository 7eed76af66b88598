/** The channel of a schema; channels are per database. A schema's name leaves room for the prefix within 63 bytes. */
export function channelOf(quotedSchema: string): string {
  return `nestor_${quotedSchema.slice(1, -1)}`;
}
