import { setTimeout as pause } from 'node:timers/promises';
import type { Fleet } from './fleet.js';
import type { ChaosServer } from './server.js';
import { LEFT_SUSPENDED } from './loads/engine/left-suspended.js';

const SETTLED_WITHIN_MS = 300_000;
/** Nothing takes this long: leases of 10 s, pauses before retries of less than a second, tasks of a second. */
const STUCK_AFTER_MS = 30_000;
const LOOK_AGAIN_MS = 500;

/**
 * Root runs that have not ended and for whom nobody has to do anything but wait; schedules of which there will be runs;
 * slots that somebody has or waits for; and how much has happened.
 */
const UNSETTLED = `
  select array(select r.id from nestor.flow_run r
                where r.root_flow_run_id = r.id
                  and r.state_type not in ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')
                  and not (r.state_type = 'PAUSED' and r.tags ? $1)) as open,
         array(select r.id from nestor.flow_run r
                where r.root_flow_run_id = r.id and r.state_type = 'PAUSED' and not r.tags ? $1) as paused,
         (select count(*)::int from nestor.deployment_schedule where fill_at is not null) as schedules,
         (select count(*)::int from nestor.concurrency_claim) as claims,
         (select count(*)::int from nestor.flow_run_state) + (select count(*)::int from nestor.task_run_history) as states`;

interface Look {
  readonly open: readonly string[];
  readonly paused: readonly string[];
  readonly schedules: number;
  readonly claims: number;
  readonly states: number;
}

/**
 * Starts nothing more, resumes what is paused, and waits until every run has ended, and nobody has slots; gives up on what
 * does not come to an end.
 *
 * @returns how many claims of slots are left.
 */
export async function settle(fleet: Fleet, server: ChaosServer, note: (line: string) => void): Promise<number> {
  await fleet.allUp();
  for (const slot of fleet.slots) fleet.send(slot, { kind: 'quiesce' });
  const start = performance.now();
  let before = '';
  let movedAt = start;
  let notedAt = start;
  for (;;) {
    const now = performance.now();
    const { rows } = await server.administer((client) => client.query<Look>(UNSETTLED, [LEFT_SUSPENDED]));
    const { open, paused, schedules, claims, states } = rows[0]!;
    if (open.length + schedules + claims === 0) return 0;
    const situation = [states, open.length, schedules, claims].join();
    if (situation !== before) movedAt = now;
    before = situation;
    const word = `${open.length} runs are open, ${schedules} schedules go on, ${claims} claims of slots are there`;
    if (now - movedAt > STUCK_AFTER_MS || now - start > SETTLED_WITHIN_MS) {
      note(`${word}, and that does not end: ${open.slice(0, 10).join(' ')}`);
      return claims;
    }
    if (now - notedAt > 5_000) {
      notedAt = now;
      note(`settling: ${word}`);
    }
    const [first] = fleet.slots;
    if (first && paused.length > 0) fleet.send(first, { kind: 'resume', flowRunIds: paused });
    await pause(LOOK_AGAIN_MS);
  }
}
