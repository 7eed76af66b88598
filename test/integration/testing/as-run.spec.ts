import { Injectable } from '@nestjs/common';
import { currentRun, Flow, NoCurrentRunError, Task } from '@nestor/orchestrator';
import { asRun, createTestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { sql } from '../../support/sql.js';

@Injectable()
class Report {
  @Flow({ name: 'report', tags: ['daily'] })
  async write(params: { day: string }): Promise<unknown> {
    return [this.place(), await this.part(), params.day];
  }

  @Task({ tags: ['part'] })
  async part(): Promise<unknown> {
    return this.place();
  }

  place() {
    const { flowRunId, flowRunName, flowName, parameters, taskRunId, taskRunName, tags, attempt } = currentRun();
    return { flowRunId, flowRunName, flowName, parameters, taskRunId, taskRunName, tags, attempt };
  }
}

describe('code that asks which run it is in', () => {
  it('is told what the rows of the runs say [H13]', async () => {
    const database = await createTestDatabase(process.env.DATABASE_URL ? { server: process.env.DATABASE_URL } : {});
    const app = await startApp({ url: database.url, providers: [Report] });
    const [inFlow, inTask] = (await app.get(Report).write({ day: 'monday' })) as ReturnType<Report['place']>[];
    const [flow] = await sql<{ id: string; name: string; run_count: number; parameters: unknown }>(
      database,
      'select * from nestor.flow_run',
    );
    const [task] = await sql<{ id: string; name: string; run_count: number }>(
      database,
      'select * from nestor.task_run',
    );
    const common = { flowRunId: flow!.id, flowRunName: flow!.name, flowName: 'report', parameters: flow!.parameters };
    const ofFlow = { taskRunId: null, taskRunName: null, tags: ['daily'], attempt: flow!.run_count };
    const ofTask = { taskRunId: task!.id, taskRunName: task!.name, tags: ['part'], attempt: task!.run_count };
    expect(inFlow).toEqual({ ...common, ...ofFlow });
    expect(inTask).toEqual({ ...common, ...ofTask });
    expect(flow!.parameters).toEqual({ day: 'monday' });
    await app.close();
    await database.drop();
  });

  it('is told what a test says, without any application [H13]', async () => {
    const report = new Report();
    const lines: unknown[] = [];
    const told = await asRun(
      { flowName: 'other', attempt: 3, now: new Date(5), log: (...line) => lines.push(line) },
      async () => {
        await Promise.resolve();
        currentRun().logger.warn('careful');
        return [await report.part(), currentRun().now(), currentRun().random(), currentRun().signal.aborted];
      },
    );
    expect(told).toMatchObject([{ flowName: 'other', attempt: 3, flowRunId: null, tags: [] }, new Date(5), 0.5, false]);
    expect(lines).toEqual([[30, 'careful']]);
    expect(() => currentRun()).toThrow(NoCurrentRunError);
  });
});
