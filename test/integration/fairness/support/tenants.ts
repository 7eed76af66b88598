import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { Flow, Flows } from '@nestor/orchestrator';
import { FlowRunClaimsRepository } from '../../../../libs/orchestrator/src/records/flow-runs/flow-run-claims.repository.js';
import { ProcessLease } from '../../../../libs/orchestrator/src/runtime/leases/process-lease.service.js';
import { FlowRegistry } from '../../../../libs/orchestrator/src/runtime/registry/flow-registry.js';

/** Work of many tenants. */
@Injectable()
export class Tenants {
  /** In the order in which they began. */
  readonly begun: Work[] = [];
  work: (work: Work) => Promise<unknown> = async () => undefined;

  @Flow({ name: 'tenant-work', retries: 1, retryDelay: '50ms' })
  async serve(work: Work): Promise<unknown> {
    this.begun.push(work);
    return this.work(work);
  }
}

export interface Work {
  readonly tenant: string;
  readonly number: number;
}

/** Takes waiting runs of an application, as its claimer does, and has nothing executed. */
export class Taker {
  private readonly claims: FlowRunClaimsRepository;

  constructor(
    private readonly app: INestApplicationContext,
    private readonly appName: string,
    /** Default: that of the application. */
    readonly processId: string = app.get(ProcessLease).processId,
  ) {
    this.claims = app.get(FlowRunClaimsRepository);
  }

  /** The runs that are taken next, in that order, by the keys they were enqueued with; `''` for those without. */
  async take(limit: number): Promise<Work[]> {
    const flowIds = [this.app.get(FlowRegistry).flowId('tenant-work')];
    const taken = await this.claims.claimFreeInTurn({ processId: this.processId, app: this.appName, flowIds, limit });
    return taken.map(({ created: { parameters } }) => JSON.parse(parameters) as Work);
  }

  async tenants(limit: number): Promise<string[]> {
    return (await this.take(limit)).map(({ tenant }) => tenant);
  }

  /** Takes until nothing is left that may be taken. */
  async rest(limit: number): Promise<Work[]> {
    const all: Work[] = [];
    for (;;) {
      const some = await this.take(limit);
      if (some.length === 0) return all;
      all.push(...some);
    }
  }
}

/** Puts runs of a tenant into its line; an empty name puts them into none. */
export async function enqueue(
  app: INestApplicationContext,
  tenant: string,
  count: number,
  options: { weight?: number; priority?: number; in?: string | number } = {},
): Promise<void> {
  const { weight, ...others } = options;
  const keyed = tenant === '' ? {} : { fairnessKey: tenant, ...(weight !== undefined && { fairnessWeight: weight }) };
  const calls = Array.from({ length: count }, (_, number) => [{ tenant, number }] as const);
  await app
    .get(Flows)
    .with({ ...keyed, ...(others as object) })
    .enqueueAll(Tenants, 'serve', calls);
}

/** How often each comes. */
export function counts(tenants: readonly string[]): Record<string, number> {
  const found: Record<string, number> = {};
  for (const tenant of tenants) found[tenant] = (found[tenant] ?? 0) + 1;
  return found;
}
