import { setTimeout as pause } from 'node:timers/promises';
import { ConcurrencyLimits, type ConcurrencyOptions } from '@nestor/orchestrator';
import type { Random } from '../../random.js';
import { againAndAgain } from '../again-and-again.js';
import type { LoadSettings } from '../load-settings.js';
import type { LoadedApplication } from '../kinds.js';
import { noteAcquisitions } from './acquisitions.js';

interface Wish {
  readonly names: readonly string[];
  readonly options: ConcurrencyOptions;
}

/** Each of its users takes slots, holds them for a moment, and asks again at once. */
export const limitsApplication = ({ acquirers }: Extract<LoadSettings, { name: 'limits' }>): LoadedApplication => ({
  providers: [],
  serve({ app, witness, random, report }) {
    const limits = app.get(ConcurrencyLimits);
    noteAcquisitions(witness);
    return againAndAgain(
      acquirers,
      async () => {
        const { names, options } = wish(random);
        await limits.concurrency(names, options, () => pause(random.between(10, 60)));
      },
      report,
    );
  },
});

/** Mostly one slot of the one limit; now and then two of them, or one of either. */
function wish(random: Random): Wish {
  const mood = random.next();
  if (mood < 0.05) return { names: ['five'], options: { occupy: 2 } };
  return { names: mood < 0.15 ? ['five', 'three'] : ['five'], options: {} };
}
