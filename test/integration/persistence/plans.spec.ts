import { completed, pending, running } from '@nestor/core';
import type { TestDatabase } from '@nestor/testing';
import { escapeLiteral } from 'pg';
import type { PreparedStatement, Tx } from '../../../libs/orchestrator/src/persistence/transactions.js';
import { FlowRunEntity } from '../../../libs/orchestrator/src/records/flow-runs/flow-run.entity.js';
import { emptyDatabase, openStore, type Store } from './support/store.js';
import { flowNamed, FlowRunStory, idAt, TaskRunStory } from './support/runs.js';

const ROWS = 5_000;
const DAY_MS = 86_400_000;

/** A node of a plan, as `explain (format json)` gives it. */
interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Actual Loops'?: number;
  readonly Plans?: readonly PlanNode[];
}

/** What a plan does with tables: `Index Scan flow_run_20261116`. Parts that are never executed are left out. */
function scansOf(node: PlanNode): string[] {
  if (node['Actual Loops'] === 0) return [];
  const table = node['Relation Name'];
  const own = table !== undefined && node['Node Type'].endsWith('Scan') ? [`${node['Node Type']} ${table}`] : [];
  return [...own, ...(node.Plans ?? []).flatMap(scansOf)];
}

/** `{"a",NULL}`: how PostgreSQL writes an array. */
function arrayText(items: readonly unknown[]): string {
  const texts = items.map((item) =>
    item === null ? 'NULL' : `"${(item as string | number | boolean).toString().replace(/["\\]/g, '\\$&')}"`,
  );
  return `{${texts.join(',')}}`;
}

describe('with 5,000 runs over several weeks', () => {
  let database: TestDatabase;
  let store: Store;
  const flowRuns: FlowRunStory[] = [];
  const taskRuns: TaskRunStory[] = [];
  const filled = new Set<string>();

  beforeAll(async () => {
    database = await emptyDatabase();
    store = await openStore(database, { poolSize: 1 });
    const flowId = await flowNamed(store, 'etl');
    const now = Date.now();
    for (let index = 0; index < ROWS; index += 1) {
      const id = idAt(now + (index % 14) * DAY_MS);
      flowRuns.push(new FlowRunStory(flowId, { id }));
      taskRuns.push(new TaskRunStory(id, { id: idAt(now + (index % 14) * DAY_MS) }));
    }
    const states = flowRuns.map((story) => story.enter(pending()).state);
    const rows = flowRuns.map(({ created, run }) => ({ created, run }));
    await store.transactions.single((tx) => store.flowRuns.insert(tx, rows, states));
    const saved = taskRuns.map((story) => story.enter(running()));
    await store.transactions.single((tx) =>
      store.taskRuns.save(
        tx,
        saved.map(({ write }) => write),
        saved.map(({ state }) => state),
      ),
    );
    await store.dataSource.query('analyze');
    const tables = await store.dataSource.query<{ name: string }[]>(
      `select relname as name from pg_class where relnamespace = 'nestor'::regnamespace and relkind = 'r' and reltuples > 100`,
    );
    tables.forEach(({ name }) => filled.add(name));
  });
  afterAll(async () => {
    await store.dataSource.destroy();
    await database.drop();
  });

  /** The plan of the statement that some work issues, as it is executed; what it wrote is taken back. */
  async function scansOfWork(mode: 'force_generic_plan' | 'force_custom_plan', work: (tx: Tx) => Promise<unknown>) {
    const issued: { statement: string | PreparedStatement; parameters: readonly unknown[] }[] = [];
    const recorder = {
      query: async (statement: string | PreparedStatement, parameters: readonly unknown[] = []) => {
        issued.push({ statement, parameters });
        return [];
      },
    } as unknown as Tx;
    await work(recorder);
    const [{ statement, parameters } = { statement: '', parameters: [] }] = issued;
    const text = typeof statement === 'string' ? statement : statement.text;
    return scansOfStatement(mode, text, parameters);
  }

  /** Through a prepared statement, because only those have generic plans; `explain` takes no parameters for it. */
  async function scansOfStatement(mode: string, text: string, parameters: readonly unknown[]): Promise<string[]> {
    const literals = parameters.map((value) => escapeLiteral(Array.isArray(value) ? arrayText(value) : String(value)));
    const rolledBack = new Error('rolled back');
    let scans: string[] = [];
    const planned = store.transactions.run(async (tx) => {
      await tx.query(`set local plan_cache_mode = ${mode}`);
      await tx.query(`prepare planned as ${text}`);
      const rows = await tx.query<{ 'QUERY PLAN': string }>(
        `explain (analyze, format json) execute planned(${literals.join(', ')})`,
      );
      await tx.query('deallocate planned');
      scans = scansOf((JSON.parse(rows[0]!['QUERY PLAN']) as { Plan: PlanNode }[])[0]!.Plan);
      throw rolledBack;
    });
    await planned.catch((error: unknown) => {
      if (error !== rolledBack) throw error;
    });
    return scans;
  }

  /** Tables that are read from end to end though they have rows. */
  const readWhole = (scans: string[]): string[] =>
    scans.filter((scan) => scan.startsWith('Seq Scan') && filled.has(scan.replace('Seq Scan ', '')));

  const tablesOf = (scans: string[]): Set<string> => new Set(scans.map((scan) => scan.split(' ').at(-1)!));

  describe.each(['force_generic_plan', 'force_custom_plan'] as const)('and %s', (mode) => {
    it('a look-up of a flow run by its id touches one partition, by its index', async () => {
      const { id } = flowRuns[1_234]!.run;
      const [query, parameters] = store.dataSource
        .getRepository(FlowRunEntity)
        .createQueryBuilder('r')
        .where('r.id = :id', { id })
        .getQueryAndParameters();
      const scans = await scansOfStatement(mode, query, parameters);
      expect(scans).toHaveLength(1);
      expect(scans[0]).toMatch(/^Index Scan flow_run_\d{8}$/);
    });

    it('the history of a run is read by index only', async () => {
      const scans = await scansOfStatement(
        mode,
        'select * from nestor.flow_run_state where flow_run_id = $1 order by timestamp',
        [flowRuns[7]!.run.id],
      );
      expect(readWhole(scans)).toEqual([]);
    });

    it('a lone move rides the primary key', async () => {
      const story = new FlowRunStory(flowRuns[99]!.created.flowId, flowRuns[99]!.created);
      story.run = flowRuns[99]!.run;
      const { move, state } = story.enter(running());
      const scans = await scansOfWork(mode, (tx) => store.flowRuns.move(tx, [move], [state]));
      expect(scans.length).toBeGreaterThan(0);
      expect(readWhole(scans)).toEqual([]);
    });

    it('saving task runs reads no table at all: conflicts are found by the primary key', async () => {
      const known = taskRuns.slice(0, 200).map((original) => {
        const story = new TaskRunStory(original.created.flowRunId, original.created);
        story.run = original.run;
        return story.enter(completed());
      });
      const scans = await scansOfWork(mode, (tx) =>
        store.taskRuns.save(
          tx,
          known.map(({ write }) => write),
          known.map(({ state }) => state),
        ),
      );
      expect(scans.filter((scan) => !scan.startsWith('Function Scan'))).toEqual([]);
    });

    it('events of a run are found by the key of its history', async () => {
      const scans = await scansOfStatement(
        mode,
        'select * from nestor.event_feed where run_id = $1 order by occurred, id limit 100',
        [flowRuns[42]!.run.id],
      );
      expect(scans.length).toBeGreaterThan(0);
      expect(readWhole(scans)).toEqual([]);
    });
  });

  it('a move of two hundred runs rides the primary key, in the plan that a connection keeps after five executions', async () => {
    const moves = flowRuns.slice(300, 500).map((original) => {
      const story = new FlowRunStory(original.created.flowId, original.created);
      story.run = original.run;
      return story.enter(running());
    });
    const scans = await scansOfWork('force_generic_plan', (tx) =>
      store.flowRuns.move(
        tx,
        moves.map(({ move }) => move),
        moves.map(({ state }) => state),
      ),
    );
    expect(tablesOf(scans).size).toBeGreaterThan(1);
    expect(readWhole(scans)).toEqual([]);
  });
});
