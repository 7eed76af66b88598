import { Inject, Injectable, Scope } from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import { RunRequest } from '@nestor/orchestrator';

/** Whose shop it is: that of the run, or of the HTTP request. */
@Injectable({ scope: Scope.REQUEST })
export class Tenant {
  readonly name: string;

  constructor(@Inject(REQUEST) request: RunRequest | { readonly headers: Readonly<Record<string, string>> }) {
    const name = request instanceof RunRequest ? request.parameters.tenant : request.headers['x-tenant'];
    this.name = typeof name === 'string' ? name : '';
  }
}
