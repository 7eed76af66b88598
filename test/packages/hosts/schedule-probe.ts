/** Put into a host that has `@nestjs/schedule`: its decorators make runs, whichever of its releases that is. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Cron, CronExpression, Interval, SchedulerRegistry } from '@nestjs/schedule';
import { FlowRuns, OrchestratorModule, StateType } from 'nestor';
import { ScheduleModule } from 'nestor/schedule';

@Injectable()
class Jobs {
  @Cron(CronExpression.EVERY_SECOND, { name: 'tick' })
  tick(): void {}

  @Interval('tock', 1_000)
  async tock(): Promise<void> {}
}

@Module({ imports: [OrchestratorModule.forRoot({ app: 'jobs' }), ScheduleModule.forRoot()], providers: [Jobs] })
class JobsModule {}

async function probe(): Promise<void> {
  const app = await NestFactory.createApplicationContext(JobsModule, {
    logger: ['error', 'warn'],
    abortOnError: false,
  });
  assert.ok(app.get(SchedulerRegistry));
  for (const flowName of ['tick', 'tock']) {
    const isThere = async (): Promise<boolean> => {
      const runs = await app.get(FlowRuns).list({ flowName, stateTypes: [StateType.Completed] });
      return runs.length > 0;
    };
    for (let tries = 0; !(await isThere()); tries += 1) {
      assert.ok(tries < 300, `there is no completed run of ${flowName}`);
      await sleep(100);
    }
  }
  await app.close();
}

void probe();
