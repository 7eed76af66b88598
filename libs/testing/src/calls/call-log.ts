import { callKey, EngineScopeServices, type ScopeServices } from '@nestor/orchestrator';
import { Inject, Injectable } from '@nestjs/common';

type Call = Parameters<typeof callKey>[0];

/** What the calls of runs were given: the database does not know, it keeps a hash. */
@Injectable()
export class CallLog {
  private readonly inputs = new Map<string, readonly unknown[]>();

  note(flowRunId: string, call: Call, args: readonly unknown[]): void {
    this.inputs.set(`${flowRunId}\0${callKey(call)}`, snapshotOf(args));
  }

  find(flowRunId: string, call: Call): readonly unknown[] | undefined {
    return this.inputs.get(`${flowRunId}\0${callKey(call)}`);
  }
}

/** What code of runs asks of the engine, and every call noted down. */
@Injectable()
export class NotingScopeServices extends EngineScopeServices {
  @Inject(CallLog) private readonly calls!: CallLog;

  readonly noteCall: ScopeServices['noteCall'] = ({ flowRun }, taskKey, dynamicKey, args) => {
    if (flowRun) this.calls.note(flowRun.created.id, { taskKey, dynamicKey }, args);
  };
}

/** Arguments as they are now, whatever becomes of them. Those that cannot be copied are taken as they are. */
function snapshotOf(args: readonly unknown[]): readonly unknown[] {
  try {
    return structuredClone(args);
  } catch {
    return [...args];
  }
}
