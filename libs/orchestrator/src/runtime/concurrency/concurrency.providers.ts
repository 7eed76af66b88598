import { ConcurrencyLeases } from './concurrency-leases.service.js';
import { ConcurrencyLimits } from './concurrency-limits.service.js';
import { HandOver } from './hand-over.service.js';
import { LimitedTags } from './limited-tags.service.js';
import { RunSlots } from './run-slots.service.js';
import { SlotBlocks } from './slot-blocks.service.js';
import { SlotEvents } from './slot-events.service.js';
import { SlotKeeper } from './slot-keeper.service.js';
import { SlotLine } from './slot-line.service.js';
import { Slots } from './slots.service.js';

/** Limits and their slots. */
export const concurrencyProviders = [
  SlotLine,
  HandOver,
  SlotEvents,
  Slots,
  SlotBlocks,
  RunSlots,
  SlotKeeper,
  LimitedTags,
  ConcurrencyLimits,
  ConcurrencyLeases,
];
