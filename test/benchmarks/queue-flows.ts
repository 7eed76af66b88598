import { Flow } from '@nestor/orchestrator';
import { Injectable } from '@nestjs/common';

/** A flow that does nothing but tell that it began: what it takes to get there is ours. */
@Injectable()
export class QueueFlows {
  begun = 0;
  /** Called when a body begins. */
  onBegin: () => void = () => undefined;

  @Flow({ name: 'queued' })
  async queued(_: number): Promise<void> {
    this.begun += 1;
    this.onBegin();
  }
}
