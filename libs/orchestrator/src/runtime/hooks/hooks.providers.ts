import { HookCaller } from './hook-caller.service.js';
import { HookDelivery } from './hook-delivery.service.js';
import { Hooks } from './hooks.service.js';
import { SettledHooks } from './settled-hooks.service.js';

/** What is called when runs enter states. */
export const hooksProviders = [SettledHooks, HookCaller, Hooks, HookDelivery];
