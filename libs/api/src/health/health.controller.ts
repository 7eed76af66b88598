import { Controller, Get, ServiceUnavailableException } from '@nestjs/common';
import { Readiness } from '@nestor/orchestrator';
import { Public } from '../access/public.decorator.js';

/** What load balancers and container platforms ask. */
@Controller()
@Public()
export class HealthController {
  constructor(private readonly readiness: Readiness) {}

  /** The process answers; says nothing about the database. */
  @Get('health')
  health(): boolean {
    return true;
  }

  /** The process can do its work: the database answers, runs are looked for, and no shutdown has begun. */
  @Get('ready')
  async ready(): Promise<{ message: string }> {
    const problem = await this.readiness.problem();
    if (problem !== null) throw new ServiceUnavailableException(problem);
    return { message: 'OK' };
  }
}
