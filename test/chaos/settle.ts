import { setTimeout as pause } from 'node:timers/promises';
import type { Fleet } from './fleet.js';
import type { ChaosServer } from './server.js';
import { LEFT_SUSPENDED } from './workload/left-suspended.js';

const SETTLED_WITHIN_MS = 120_000;
/** Nothing takes this long: leases of 10 s, pauses before retries of less than a second, tasks of a second. */
const STUCK_AFTER_MS = 30_000;
const LOOK_AGAIN_MS = 500;

/** Root runs that have not ended and for whom nobody has to do anything but wait; and when a state was last entered. */
const UNSETTLED = `
  select array(select r.id from nestor.flow_run r
                where r.root_flow_run_id = r.id
                  and r.state_type not in ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')
                  and not (r.state_type = 'PAUSED' and r.tags ? $1)) as open,
         array(select r.id from nestor.flow_run r
                where r.root_flow_run_id = r.id and r.state_type = 'PAUSED' and not r.tags ? $1) as paused,
         (select count(*)::int from nestor.flow_run_state) + (select count(*)::int from nestor.task_run_history) as states`;

/** Starts nothing more, resumes what is paused, and waits until every run has ended; gives up on those that do not. */
export async function settle(fleet: Fleet, server: ChaosServer, note: (line: string) => void): Promise<void> {
  await fleet.allUp();
  for (const slot of fleet.slots) fleet.send(slot, { kind: 'quiesce' });
  const start = performance.now();
  let states = -1;
  let movedAt = start;
  let notedAt = start;
  for (;;) {
    const now = performance.now();
    const { rows } = await server.administer((client) =>
      client.query<{ open: string[]; paused: string[]; states: number }>(UNSETTLED, [LEFT_SUSPENDED]),
    );
    const look = rows[0] ?? { open: [], paused: [], states };
    if (look.open.length === 0) return;
    if (look.states !== states) movedAt = now;
    states = look.states;
    if (now - movedAt > STUCK_AFTER_MS || now - start > SETTLED_WITHIN_MS) {
      note(`${look.open.length} runs do not end: ${look.open.slice(0, 10).join(' ')}`);
      return;
    }
    if (now - notedAt > 5_000) {
      notedAt = now;
      note(`settling: ${look.open.length} runs are open`);
    }
    const [first] = fleet.slots;
    if (first && look.paused.length > 0) fleet.send(first, { kind: 'resume', flowRunIds: look.paused });
    await pause(LOOK_AGAIN_MS);
  }
}
