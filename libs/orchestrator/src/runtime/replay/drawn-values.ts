import { createHash } from 'node:crypto';
import { decode, encode } from '@nestor/core';
import { derivedId } from '../../persistence/ids.js';
import { SEED_KEY } from '../../records/run-values/run-values.repository.js';
import type { RunScope } from '../engine/run-scope.js';

/**
 * What code of a run draws from outside its tasks. Drawn again by a resumed run, at the same place in the same order, each
 * is the same.
 *
 * Ids and random numbers follow from the run and the place: nothing has to be kept, so they are the same even when the
 * process dies right after. The time is kept, with the next flush.
 */
export function drawnValues(scope: RunScope): { now(): Date; uuid(): string; random(): number } {
  const { flowRun, taskRun, replay, services } = scope.place;
  const { branch } = scope;
  const inherited = replay?.values.get(SEED_KEY);
  const own = flowRun?.created.id ?? taskRun?.created.id ?? '';
  const seed = inherited === undefined ? own : (decode(inherited) as string);
  return {
    now() {
      const key = branch.keyOfValue('now');
      const recorded = replay?.values.get(key);
      if (recorded !== undefined) return decode(recorded) as Date;
      const now = services.clock();
      if (flowRun) services.keepValue(flowRun, key, encode(now));
      return now;
    },
    uuid: () => derivedId(seed, branch.keyOfValue('uuid')),
    random: () => fractionOf(`${seed}\0${branch.keyOfValue('random')}`),
  };
}

/** 48 bits of a hash, as a number from 0 to just under 1. */
function fractionOf(text: string): number {
  return createHash('sha256').update(text).digest().readUIntBE(0, 6) / 2 ** 48;
}
