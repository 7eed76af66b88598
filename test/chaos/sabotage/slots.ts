import { SlotKeeper } from '../../../libs/orchestrator/src/runtime/concurrency/slot-keeper.service.js';
import type { ChaosServer } from '../server.js';

/** Nobody looks after the slots of dead processes. */
export function switchOffSlotKeeper(): void {
  SlotKeeper.prototype.onApplicationBootstrap = () => undefined;
}

/** The database finds one slot more of every limit than there are. */
export async function giveOneSlotMore(server: ChaosServer): Promise<void> {
  await server.administer((client) =>
    client.query(`
      create or replace function nestor.concurrency_room(given uuid[], at timestamptz)
      returns table (limit_id uuid, free double precision) language sql stable as $$
        select l.id, l."limit" + 1.0 - (select count(*) from nestor.concurrency_slot s where s.limit_id = l.id)
          from nestor.concurrency_limit l where l.id = any(given)
      $$`),
  );
}
