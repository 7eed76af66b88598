import { Injectable } from '@nestjs/common';
import { newId } from '../../persistence/ids.js';
import type { Tx } from '../../persistence/transactions.js';
import { EventsRepository, RESOURCE_ID } from '../../records/events/events.repository.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import type { DeployedFlow } from './desired-deployment.js';

/** Says what became of deployments, in the transaction in which it does. */
@Injectable()
export class DeploymentEvents {
  constructor(
    private readonly events: EventsRepository,
    private readonly clock: DatabaseClock,
  ) {}

  async emit(
    tx: Tx,
    what: 'created' | 'updated' | 'deleted',
    flow: DeployedFlow,
    { id, name }: { readonly id: string; readonly name: string },
    payload: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    await this.events.insert(tx, {
      id: newId(),
      occurred: this.clock.now(),
      event: `prefect.deployment.${what}`,
      resource: { [RESOURCE_ID]: `prefect.deployment.${id}`, 'prefect.resource.name': name },
      related: [
        {
          [RESOURCE_ID]: `prefect.flow.${flow.id}`,
          'prefect.resource.role': 'flow',
          'prefect.resource.name': flow.name,
        },
      ],
      payload,
    });
  }
}
