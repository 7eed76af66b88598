import { StateType, type State } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { stackOf } from '../engine/outcome.js';
import { argumentsOf } from '../engine/parameters.js';
import { RunLogger } from '../engine/run-logger.js';
import { LogLevel, RunLogs } from '../engine/run-logs.js';
import { outsideAnyScope } from '../engine/run-scope.js';
import { withinMs } from '../engine/wait-until.js';
import { PayloadStoreFailedError } from '../payloads/payload-errors.js';
import { Replays } from '../replay/replays.service.js';
import { outsideTransactions } from '../transactions/transaction.js';
import { JournalClosedError } from '../transitions/journal-closed.error.js';
import { logSourceOf, type HookCall } from './hook-call.js';
import type { HookContext } from './hook-context.js';
import { HOOK_OPTIONS, type Hook, type HookedState } from './hook-lists.js';
import { SettledHooks } from './settled-hooks.service.js';

/** Calls hooks: those of a state one after the other, outside the run. */
@Injectable()
export class HookCaller {
  private readonly underWay = new Set<Promise<boolean>>();
  private readonly owing = new Set<string>();

  constructor(
    private readonly replays: Replays,
    private readonly logs: RunLogs,
    private readonly settled: SettledHooks,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  /** The states whose hooks are being called, or were and are not forgotten yet. */
  get paying(): ReadonlySet<string> {
    return this.owing;
  }

  /**
   * Calls the hooks of a state. Never rejects: what goes wrong is logged with the run.
   *
   * @returns whether that is all that can be done about them; not so when the database or the store of payloads is away.
   */
  call(call: HookCall): Promise<boolean> {
    const calling = outsideTransactions(() => outsideAnyScope(() => this.callAll(call)));
    this.underWay.add(calling);
    void calling.then(() => this.underWay.delete(calling));
    return calling;
  }

  /** Calls what a state owes, and notes that it owes nothing any more; resolves before that is noted. Never rejects. */
  async pay(call: HookCall): Promise<void> {
    const { id } = call.state;
    this.owing.add(id);
    if (!(await this.call(call))) return void this.owing.delete(id);
    void this.settled.add(id).then(() => this.owing.delete(id));
  }

  /** Waits for the hooks that are being called, but not for longer than a drain may take. */
  async drain(): Promise<void> {
    await withinMs(Promise.all(this.underWay), this.settings.drainMs);
  }

  private async callAll(call: HookCall): Promise<boolean> {
    const { definition, run, state } = call;
    const hooks = definition.hooks?.[state.type] ?? [];
    if (hooks.length === 0) return true;
    try {
      const known = { run, state, args: await this.argumentsOf(call), ...(await this.outcomeOf(call)) };
      const logger = new RunLogger((level, message) => this.logs.append(logSourceOf(run), level, message));
      for (const hook of hooks) await this.callOne(hook, { ...known, logger }, call);
      return true;
    } catch (error) {
      this.report(call, `Its hooks could not be called: what it recorded could not be read. ${stackOf(error)}`);
      return !(error instanceof JournalClosedError || error instanceof PayloadStoreFailedError);
    }
  }

  private async callOne(hook: Hook, context: HookContext, call: HookCall): Promise<void> {
    try {
      if (typeof hook === 'function') return void (await hook(context));
      const receiver = await call.receiver();
      await (receiver as Record<string, (context: HookContext) => unknown>)[hook]?.(context);
    } catch (error) {
      const name = typeof hook === 'string' ? hook : hook.name || 'a function';
      this.report(call, `Hook ${optionOf(call.state)}: ${name} failed, which changes nothing. ${stackOf(error)}`);
    }
  }

  private async argumentsOf({ run, args }: HookCall): Promise<readonly unknown[]> {
    if (args === null) return [];
    const known = await this.replays.read(args);
    return run.kind === 'flow-run' ? argumentsOf(known as Record<string, unknown>) : (known as readonly unknown[]);
  }

  /** Read from the record, although it may be known here: so it is the same when it is read elsewhere. */
  private async outcomeOf({ state, outcome }: HookCall): Promise<{ result?: unknown; error?: unknown }> {
    const known = outcome === null ? undefined : await this.replays.read(outcome);
    if (state.type === StateType.Completed) return { result: known };
    return state.type === StateType.Failed ? { error: known } : {};
  }

  private report({ run }: HookCall, message: string): void {
    this.logs.append(logSourceOf(run), LogLevel.Error, message);
  }
}

function optionOf({ type }: State): string {
  return HOOK_OPTIONS[type as HookedState];
}
