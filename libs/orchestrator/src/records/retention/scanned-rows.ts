/** What became of a page of rows that were looked at. */
export interface ScannedRows {
  readonly seen: number;
  readonly removed: number;
  /** The last id of the page; `null` when it is empty. */
  readonly last: string | null;
}
