import type { LeaseListener } from '../leases/process-lease.service.js';
import { topicsOf, type NamingTopic, type Topic } from './notifier.service.js';

/**
 * Listens for a topic: `wake` is called when somebody told of it, and when that may have happened unheard, because the process
 * was cut off from the others or has joined them anew.
 */
export function whenTold(topic: Topic, wake: () => void): LeaseListener {
  return {
    notified: (payload) => {
      if (payload === null || topicsOf(payload).includes(topic)) wake();
    },
    rejoined: wake,
  };
}

/**
 * {@link whenTold} for a topic that may name one thing, `<topic>:<name>`: `hear` is called with the name then, in the place of
 * `wake`.
 */
export function whenToldOf(topic: NamingTopic, hear: (name: string) => void, wake: () => void): LeaseListener {
  const prefix = `${topic}:`;
  return {
    notified: (payload) => {
      if (payload === null) return wake();
      for (const told of topicsOf(payload)) {
        if (told === topic) wake();
        else if (told.startsWith(prefix)) hear(told.slice(prefix.length));
      }
    },
    rejoined: wake,
  };
}
