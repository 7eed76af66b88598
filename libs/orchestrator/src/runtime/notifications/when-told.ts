import type { LeaseListener } from '../leases/process-lease.service.js';
import { topicsOf, type Topic } from './notifier.service.js';

/**
 * Listens for a topic: `wake` is called when somebody told of it, and when that may have happened unheard, because the process was
 * cut off from the others or has joined them anew.
 */
export function whenTold(topic: Topic, wake: () => void): LeaseListener {
  return {
    notified: (payload) => {
      if (payload === null || topicsOf(payload).includes(topic)) wake();
    },
    rejoined: wake,
  };
}
