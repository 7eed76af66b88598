import { Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { currentRun } from '@nestor/orchestrator';
import { tap, type Observable } from 'rxjs';

/** Notes in the log of the run how long a method took. */
@Injectable()
export class Timing implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const from = performance.now();
    const { logger } = currentRun();
    return next
      .handle()
      .pipe(tap(() => logger.log(`${context.getHandler().name} took ${Math.round(performance.now() - from)} ms`)));
  }
}
