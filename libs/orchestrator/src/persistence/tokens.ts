/** Injection token of our own `DataSource`, whatever name it carries in this process. */
export const ORCHESTRATOR_DATA_SOURCE = Symbol('nestor.data-source');
