// The checker: a process of its own, which knows nothing but the database and what was written down.
import { StateType } from '@nestor/core';
import { Client } from 'pg';
import { gatherEvidence } from './evidence.js';
import { findIllegalHistories, findUnevenEvents } from './histories.js';
import type { LoadSettings } from '../loads/load-settings.js';
import { findLeftovers } from './leftovers.js';
import { checkLoad } from './load-checks.js';
import { findLostRuns } from './lost-runs.js';
import { findRepeatedCalls } from './repeated-calls.js';
import type { Findings } from './violation.js';
import { findForeignWriters } from './writers.js';

const [, , url, home, load] = process.argv;
void main();

async function main(): Promise<void> {
  if (url === undefined || home === undefined || load === undefined) {
    throw new Error('usage: check <url of the database> <directory> <load, as JSON>');
  }
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    console.log(JSON.stringify(await check(client, home, JSON.parse(load) as LoadSettings)));
  } finally {
    await client.end();
  }
}

async function check(client: Client, directory: string, load: LoadSettings): Promise<Findings> {
  const leftovers = await findLeftovers(client); // before we leave traces ourselves
  const evidence = await gatherEvidence(client, directory);
  const runs = findLostRuns(evidence);
  const calls = findRepeatedCalls(evidence);
  const ofLoad = await checkLoad(client, evidence, load);
  const violations = [
    ...runs.violations,
    ...calls.violations,
    ...ofLoad.violations,
    ...findForeignWriters(evidence),
    ...findIllegalHistories(evidence),
    ...(await findUnevenEvents(client)),
    ...leftovers,
  ];
  const completed = runs.states[StateType.Completed] ?? 0;
  return { ...runs, ...calls, violations, completed, figures: ofLoad.figures };
}
