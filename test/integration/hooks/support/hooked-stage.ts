import { Injectable } from '@nestjs/common';
import { Flow, Task, type CompletionContext, type FailureContext, type HookContext } from '@nestor/orchestrator';

/** Flows and tasks whose hooks do what a test says, and that tell what was called in their process. */
@Injectable()
export class HookedStage {
  /** The hooks that were called here, in order: `onFailure of flow`. */
  readonly called: string[] = [];
  readonly contexts: (HookContext & Partial<CompletionContext & FailureContext>)[] = [];
  /** How often the task was executed here. */
  performed = 0;

  script: (...args: any[]) => Promise<unknown> = async () => 'done';
  perform: (...args: any[]) => Promise<unknown> = async () => 'performed';
  /** What a hook does once it has been noted. */
  hook: (called: string) => unknown = () => undefined;

  @Flow({
    name: 'hooked flow',
    onRunning: 'onRunning',
    onCompletion: 'onCompletion',
    onFailure: 'onFailure',
    onCancellation: 'onCancellation',
    onCrashed: 'onCrashed',
  })
  async flow(...args: unknown[]): Promise<unknown> {
    return this.script(...args);
  }

  @Flow({ name: 'plain flow' })
  async plain(): Promise<unknown> {
    return this.script();
  }

  @Task({ onRunning: 'onRunning', onCompletion: 'onCompletion', onFailure: 'onFailure' })
  async task(...args: unknown[]): Promise<unknown> {
    this.performed += 1;
    return this.perform(...args);
  }

  @Task()
  async plainTask(...args: unknown[]): Promise<unknown> {
    return this.perform(...args);
  }

  onRunning(context: HookContext): unknown {
    return this.note('onRunning', context);
  }

  onCompletion(context: CompletionContext): unknown {
    return this.note('onCompletion', context);
  }

  onFailure(context: FailureContext): unknown {
    return this.note('onFailure', context);
  }

  onCancellation(context: HookContext): unknown {
    return this.note('onCancellation', context);
  }

  onCrashed(context: HookContext): unknown {
    return this.note('onCrashed', context);
  }

  private note(option: string, context: HookContext): unknown {
    const called = `${option} of ${context.run.kind === 'flow-run' ? 'flow' : 'task'}`;
    this.called.push(called);
    this.contexts.push(context);
    return this.hook(called);
  }
}
