import { randomUUID } from 'node:crypto';
import { currentRun } from '@nestor/orchestrator';
import { ProcessLease } from '../../../libs/orchestrator/src/runtime/leases/process-lease.service.js';
import { Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { Witness, type Token } from '../witness.js';

/** What a body is called with: which step of its run it is, and what the flow knows by then. */
export interface Call {
  readonly step: string;
  readonly saw?: readonly Token[];
  readonly drew?: Readonly<Record<string, unknown>>;
}

/** Lets bodies write down what they do. */
@Injectable()
export class BodyWitness {
  constructor(
    private readonly witness: Witness,
    private readonly modules: ModuleRef,
  ) {
    randomUUID(); // what is loaded with the first one is not loaded while a body begins
  }

  /** Notes that the body of a flow begins; it does not wait, because that would be no part of the flow. */
  flowBegins(): void {
    void this.flowHasBegun();
  }

  /** The same, and resolves when it is written: what completes after that has surely begun. */
  async flowHasBegun(): Promise<void> {
    const { flowRunId: run, attempt } = currentRun();
    if (run !== null) await this.witness.write({ kind: 'flow', run, attempt, process: this.process });
  }

  /** Does the work of a task between two lines; gives the token of this execution. */
  async task(
    { step, saw = [], drew = {} }: Call,
    work: (token: Token) => Promise<unknown>,
    { atMostOnce = false }: { readonly atMostOnce?: boolean } = {},
  ): Promise<Token> {
    // First of all: of a process that is stopped right here, the body has begun before.
    const at = Date.now();
    const { flowRunId, taskRunId } = currentRun();
    const token: Token = { run: flowRunId ?? '', step, exec: randomUUID() };
    const line = { ...token, taskRun: taskRunId ?? '', process: this.process, atMostOnce, saw, drew };
    await this.witness.write({ kind: 'start', ...line }, at);
    await work(token);
    await this.witness.write({ kind: 'end', exec: token.exec });
    return token;
  }

  private get process(): string {
    return this.modules.get(ProcessLease, { strict: false }).processId;
  }
}
