import { setTimeout as sleep } from 'node:timers/promises';
import { Flow } from '@nestor/orchestrator';
import { Injectable } from '@nestjs/common';

/** How long a body takes: a look at another system. */
const BODY_MS = 5;

/** Work of many tenants. */
@Injectable()
export class FairFlows {
  @Flow({ name: 'shared' })
  async shared(_: string): Promise<void> {
    await sleep(BODY_MS);
  }
}
