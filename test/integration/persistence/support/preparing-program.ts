import { prepareDatabase } from '../../../../libs/orchestrator/src/prepare-database.js';

/** What {@link PreparingProcess} tells its process to do, once everything is loaded. */
export interface Order {
  readonly url: string;
}

/** What the process says: that it is ready, that the database is prepared, or what went wrong. */
export type Report = 'ready' | 'prepared' | { readonly failure: string };

process.on('message', ({ url }: Order) => {
  prepareDatabase({ url }).then(
    () => report('prepared'),
    (error: unknown) => report({ failure: String(error) }),
  );
});
report('ready');

function report(what: Report): void {
  process.send?.(what);
}
