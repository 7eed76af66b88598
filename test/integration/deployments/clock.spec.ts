import { Injectable } from '@nestjs/common';
import { Flow, Schedule } from '@nestor/orchestrator';
import { createTestingOrchestrator, type TestDatabase } from '@nestor/testing';
import { testDatabase } from '../../support/database.js';

@Injectable()
class Reports {
  written = 0;

  @Schedule('0 * * * *')
  @Flow({ name: 'hourly' })
  async write(): Promise<void> {
    this.written += 1;
  }
}

describe('schedules under a clock that skips time', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await testDatabase();
  });
  afterAll(() => database.drop());

  it('run at each of their times on the way', async () => {
    const nestor = await createTestingOrchestrator({ database, providers: [Reports] });
    try {
      await nestor.clock.set(new Date(Math.ceil(Date.now() / 3_600_000) * 3_600_000 + 60_000));
      const before = nestor.get(Reports).written;
      await nestor.clock.advance('12h');
      expect(nestor.get(Reports).written - before).toBe(12);
    } finally {
      await nestor.close();
    }
  });
});
