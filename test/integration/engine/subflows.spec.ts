import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { currentRun, Flow, FlowRuns, Flows, Task } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { illegalHistories, stateNames, taskRunsOf } from '../../support/history.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';

interface StoredFlowRun {
  readonly id: string;
  readonly root_flow_run_id: string;
  readonly parent_task_run_id: string | null;
  readonly state_type: string;
  readonly run_count: number;
}

@Injectable()
class Stage {
  body: () => Promise<unknown> = async () => undefined;
  childBody: (input: unknown) => Promise<unknown> = async (input) => input;

  @Flow()
  async parent(): Promise<unknown> {
    return this.body();
  }

  @Flow({ retries: 1 })
  async retriedParent(): Promise<unknown> {
    return this.body();
  }

  @Flow({ name: 'child' })
  async child(input?: unknown): Promise<unknown> {
    return this.childBody(input);
  }

  @Flow({ retries: 1 })
  async retriedChild(): Promise<unknown> {
    return this.childBody(undefined);
  }

  @Task({ retries: 1 })
  async taskWithChild(): Promise<unknown> {
    return this.body();
  }
}

describe('a flow that is called within a flow', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let stage: Stage;
  let parentId: string;

  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url, providers: [Stage] });
    stage = app.get(Stage);
  });
  afterAll(async () => {
    await app.close();
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });

  const playing = (body: () => Promise<unknown>): void => {
    stage.body = () => {
      parentId = currentRun().flowRunId!;
      return body();
    };
  };
  const childrenOf = (id: string): Promise<StoredFlowRun[]> =>
    sql<StoredFlowRun>(
      database,
      `select c.* from nestor.flow_run c join nestor.task_run t on t.id = c.parent_task_run_id
        where t.flow_run_id = $1 order by c.created, c.id`,
      [id],
    );

  it('is a run of its own, and a task run of the caller stands for it [F14] [O24]', async () => {
    playing(() => stage.child('x'));
    expect(await stage.parent()).toBe('x');

    const [tracking] = await taskRunsOf(database, parentId);
    const [child] = await childrenOf(parentId);
    expect(tracking).toMatchObject({ task_key: 'flow:child', state_type: 'COMPLETED', result: 'x' });
    expect(child).toMatchObject({
      parent_task_run_id: tracking!.id,
      root_flow_run_id: parentId,
      state_type: 'COMPLETED',
    });
    expect(await app.get(FlowRuns).get(child!.id)).toMatchObject({
      flowName: 'child',
      parentTaskRunId: tracking!.id,
      parameters: { 0: 'x' },
    });
    expect(await stateNames(database, child!.id)).toEqual(['Pending', 'Running', 'Completed']);
    expect(await stateNames(database, tracking!.id)).toEqual(['Pending', 'Running', 'Completed']);
  });

  it('belongs to the root of the whole tree, however deep', async () => {
    stage.childBody = async (depth) => (Number(depth) > 0 ? stage.child(Number(depth) - 1) : 'bottom');
    playing(() => stage.child(2));
    expect(await stage.parent()).toBe('bottom');
    expect(
      await sql(database, 'select count(*)::int as count from nestor.flow_run where root_flow_run_id = $1', [parentId]),
    ).toEqual([{ count: 4 }]);
  });

  it('fails on its own, and its caller may catch the error as it was recorded [F14]', async () => {
    stage.childBody = () => Promise.reject(Object.assign(new RangeError('too far'), { code: 'FAR' }));
    playing(() => stage.child().catch((error: unknown) => error));
    expect(await stage.parent()).toMatchObject({ message: 'too far', code: 'FAR' });

    expect(await childrenOf(parentId)).toMatchObject([{ state_type: 'FAILED' }]);
    expect(await taskRunsOf(database, parentId)).toMatchObject([{ state_type: 'FAILED' }]);
    expect((await app.get(FlowRuns).get(parentId)).stateType).toBe('COMPLETED');
  });

  it('fails its caller when that does not catch the error', async () => {
    stage.childBody = () => Promise.reject(new RangeError('too far'));
    playing(() => stage.child());
    await expect(stage.parent()).rejects.toThrow(RangeError);
    expect((await app.get(FlowRuns).get(parentId)).stateType).toBe('FAILED');
  });

  it('is retried by itself: its caller and the task run that stands for it see one call', async () => {
    let calls = 0;
    stage.childBody = async () => {
      if (++calls === 1) throw new Error('once');
      return 'at last';
    };
    playing(() => stage.retriedChild());
    expect(await stage.parent()).toBe('at last');

    const [child] = await childrenOf(parentId);
    expect(child).toMatchObject({ run_count: 2, state_type: 'COMPLETED' });
    expect(await stateNames(database, child!.id)).toEqual([
      ...['Pending', 'Running', 'AwaitingRetry', 'Running', 'Completed'],
    ]);
    expect(await taskRunsOf(database, parentId)).toMatchObject([{ run_count: 1 }]);
  });

  it('runs again, as a run of its own, when its caller is retried', async () => {
    let calls = 0;
    stage.childBody = async () => {
      if (++calls === 1) throw new Error('once');
      return 'second child';
    };
    playing(() => stage.child());
    expect(await stage.retriedParent()).toBe('second child');
    expect(await childrenOf(parentId)).toMatchObject([{ state_type: 'FAILED' }, { state_type: 'COMPLETED' }]);
  });

  it('that completed is not run again when its caller is retried, which gets its result [F15]', async () => {
    let children = 0;
    stage.childBody = async () => `child ${++children}`;
    let attempts = 0;
    playing(async () => {
      const result = await stage.child();
      if (++attempts === 1) throw new Error('after the child');
      return [result, attempts];
    });
    expect(await stage.retriedParent()).toEqual(['child 1', 2]);
    expect(children).toBe(1);
    expect(await childrenOf(parentId)).toMatchObject([{ state_type: 'COMPLETED', run_count: 1 }]);
    expect(await taskRunsOf(database, parentId)).toMatchObject([{ state_type: 'COMPLETED', run_count: 1 }]);
  });

  it('runs again, as a run of its own, when the task that calls it is retried', async () => {
    let calls = 0;
    stage.childBody = async () => ++calls;
    let attempts = 0;
    const callTask = async (): Promise<unknown> => {
      stage.body = async () => {
        const value = await stage.child();
        if (++attempts === 1) throw new Error('after the child');
        return value;
      };
      return stage.taskWithChild();
    };
    playing(callTask);
    expect(await stage.parent()).toBe(2);

    const children = await childrenOf(parentId);
    expect(children).toMatchObject([{ state_type: 'COMPLETED' }, { state_type: 'COMPLETED' }]);
    for (const { id } of children) {
      expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Completed']);
    }
  });

  it('is told apart from an equal call next to it', async () => {
    stage.childBody = async (input) => input;
    playing(() => Promise.all([stage.child('same'), stage.child('same')]));
    expect(await stage.parent()).toEqual(['same', 'same']);
    expect(await childrenOf(parentId)).toHaveLength(2);
  });

  it('from a task outside any flow is linked to that task', async () => {
    stage.childBody = async () => currentRun().flowRunId;
    stage.body = () => stage.child();
    const childId = await stage.taskWithChild();
    expect(
      await sql(
        database,
        `select c.root_flow_run_id, t.task_key, o.task_key as outer_key
           from nestor.flow_run c join nestor.task_run t on t.id = c.parent_task_run_id
           join nestor.task_run o on o.id = t.parent_task_run_id where c.id = $1`,
        [childId],
      ),
    ).toEqual([{ root_flow_run_id: childId, task_key: 'flow:child', outer_key: 'Stage.taskWithChild' }]);
  });

  it('is cut off with its caller', async () => {
    const gate = new Gate();
    let signal: AbortSignal | undefined;
    stage.childBody = async () => {
      ({ signal } = currentRun());
      await gate.pass();
    };
    playing(async () => {
      void stage.child();
      await gate.reached;
    });
    await stage.parent();
    const child = await waitFor(async () => (await childrenOf(parentId)).find((run) => run.state_type === 'CRASHED'));
    expect(await stateNames(database, child.id)).toEqual(['Pending', 'Running', 'Crashed']);
    expect(signal!.aborted).toBe(true);
    gate.open();
  });

  it('but is started in the background is no part of the caller: it goes on after that has ended', async () => {
    const gate = new Gate();
    stage.childBody = async () => {
      await gate.pass();
      return currentRun().taskRunId;
    };
    playing(async () => (await app.get(Flows).start(Stage, 'child')).id);
    const id = (await stage.parent()) as string;
    await gate.reached;
    gate.open();

    expect(await app.get(FlowRuns).result(id)).toBeNull();
    expect(await app.get(FlowRuns).get(id)).toMatchObject({ parentTaskRunId: null, stateType: 'COMPLETED' });
    expect(await taskRunsOf(database, parentId)).toEqual([]);
  });
});
