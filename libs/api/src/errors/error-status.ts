/** Which HTTP status the errors of the orchestrator have; every other code is our own fault, a 500. */
const STATUS_OF_CODE: Readonly<Record<string, number>> = {
  FLOW_RUN_NOT_FOUND: 404,
  RUN_INPUT_NOT_FOUND: 404,
  INVALID_QUERY: 422,
  ENGINE_STOPPING: 503,
  JOURNAL_CLOSED: 503,
};

/** The status for an error code; 500 for codes that no request can cause. */
export function statusOfCode(code: string): number {
  return STATUS_OF_CODE[code] ?? 500;
}
