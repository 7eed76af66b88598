/** From which level to which a schema was brought: the same where there was nothing to do, from 0 where there was none. */
export interface SchemaLevels {
  readonly from: number;
  readonly to: number;
}
