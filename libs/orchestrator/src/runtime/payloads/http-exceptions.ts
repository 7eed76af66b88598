import * as common from '@nestjs/common';
import type { ErrorClass } from '@nestor/core';

/**
 * Nest's HTTP exceptions, which are recorded as what they are: a guard that refuses, or a task that finds nothing, gives the
 * caller the same error from its record as it would without one, and an HTTP client the same status.
 */
export const HTTP_EXCEPTIONS: readonly ErrorClass[] = Object.values<unknown>(common).filter(isHttpException);

function isHttpException(exported: unknown): exported is ErrorClass {
  if (exported === common.HttpException) return true;
  return typeof exported === 'function' && (exported.prototype as unknown) instanceof common.HttpException;
}
