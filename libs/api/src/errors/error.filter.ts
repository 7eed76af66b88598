import { OrchestratorError } from '@nestor/core';
import { Catch, HttpException, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { isPassing } from '@nestor/orchestrator';
import { statusOfCode } from './error-status.js';

/**
 * Turns errors into the shapes of the HTTP contract: `{ "detail": … }`, with our stable `code` where there is one.
 * What we did not expect is logged with its stack and shown without it.
 */
@Catch()
export class ErrorFilter implements ExceptionFilter {
  private readonly logger = new Logger(ErrorFilter.name);

  constructor(private readonly adapterHost: HttpAdapterHost) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const { status, body } = this.answerTo(error);
    const http = host.switchToHttp();
    const { httpAdapter } = this.adapterHost;
    if (status === 401) httpAdapter.setHeader(http.getResponse(), 'WWW-Authenticate', 'Basic realm="nestor"');
    httpAdapter.reply(http.getResponse(), body, status);
  }

  private answerTo(error: unknown): { status: number; body: object } {
    if (error instanceof HttpException) {
      const response = error.getResponse();
      const shaped = typeof response === 'object' && 'exception_message' in response;
      // A path nobody serves is answered without repeating it, as the contract has it.
      const detail = error.getStatus() === 404 ? 'Not Found' : error.message;
      return { status: error.getStatus(), body: shaped ? response : { detail } };
    }
    if (error instanceof OrchestratorError) {
      const status = statusOfCode(error.code);
      if (status < 500) return { status, body: { detail: error.message, code: error.code } };
      this.log(error);
      return { status, body: { detail: status === 503 ? error.message : 'Internal Server Error', code: error.code } };
    }
    this.log(error);
    // Clients of the contract try again after a 503, and only then.
    if (isPassing(error)) return { status: 503, body: { exception_message: 'Service Unavailable' } };
    return { status: 500, body: { detail: 'Internal Server Error' } };
  }

  private log(error: unknown): void {
    this.logger.error(String(error), error instanceof Error ? error.stack : undefined);
  }
}
