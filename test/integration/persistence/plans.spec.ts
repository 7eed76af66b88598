import { completed, instantOfMs, pending, running, scheduled } from '@nestor/core';
import type { TestDatabase } from '@nestor/testing';
import { escapeLiteral } from 'pg';
import type { PreparedStatement, Tx } from '../../../libs/orchestrator/src/persistence/transactions.js';
import { newId } from '../../../libs/orchestrator/src/persistence/ids.js';
import { nextFreeFlowRun } from '../../../libs/orchestrator/src/records/flow-runs/flow-run-claim-statements.js';
import { orphanedFlowRuns } from '../../../libs/orchestrator/src/records/flow-runs/flow-run-statements.js';
import { FlowRunEntity } from '../../../libs/orchestrator/src/records/flow-runs/flow-run.entity.js';
import { emptyDatabase, fenceOf, openStore, type Store } from './support/store.js';
import { flowNamed, FlowRunStory, idAt, insert, save, TaskRunStory } from './support/runs.js';

const ROWS = 5_000;
/** Of those, how many wait for their time, and how many belong to a process, as in a database that has been used. */
const WAITING = 150;
const LEASED = 1_000;
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

/** The names of the indexes that a plan rides. */
function indexesOf(node: PlanNode): string[] {
  if (node['Actual Loops'] === 0) return [];
  const index = node['Index Name'];
  return [...(index === undefined ? [] : [index]), ...(node.Plans ?? []).flatMap(indexesOf)];
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
  let flowId: string;
  const flowRuns: FlowRunStory[] = [];
  const taskRuns: TaskRunStory[] = [];
  const filled = new Set<string>();
  const parentIndexes = new Map<string, string>();

  beforeAll(async () => {
    database = await emptyDatabase();
    store = await openStore(database, { poolSize: 1 });
    flowId = await flowNamed(store, 'etl');
    const now = Date.now();
    for (let index = 0; index < ROWS; index += 1) {
      const id = idAt(now + (index % 14) * DAY_MS);
      const isLeased = index >= WAITING && index < WAITING + LEASED;
      flowRuns.push(new FlowRunStory(flowId, { id, isLeased }));
      taskRuns.push(new TaskRunStory(id, { id: idAt(now + (index % 14) * DAY_MS) }));
    }
    const due = (index: number) => scheduled({ scheduledTime: instantOfMs(now + (index - WAITING / 2) * 60_000) });
    await insert(
      store,
      flowRuns.map((story, index) => story.begin(index < WAITING ? due(index) : pending())),
    );
    await save(
      store,
      taskRuns.map((story) => story.enter(running())),
    );
    await store.dataSource.query('analyze');
    const tables = await store.dataSource.query<{ name: string }[]>(
      `select relname as name from pg_class where relnamespace = 'nestor'::regnamespace and relkind = 'r' and reltuples > 100`,
    );
    tables.forEach(({ name }) => filled.add(name));
    const indexes = await store.dataSource.query<{ name: string; parent: string }[]>(
      `select c.relname as name, p.relname as parent
         from pg_inherits join pg_class c on c.oid = inhrelid join pg_class p on p.oid = inhparent and p.relkind = 'I'`,
    );
    indexes.forEach(({ name, parent }) => parentIndexes.set(name, parent));
  });
  afterAll(async () => {
    await store.dataSource.destroy();
    await database.drop();
  });

  type PlanCache = 'force_generic_plan' | 'force_custom_plan';
  type Work = (tx: Tx) => Promise<unknown>;

  /** The plan of the statement that some work issues, as it is executed; what it wrote is taken back. */
  async function planOfWork(mode: PlanCache, work: Work): Promise<PlanNode> {
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
    return planOfStatement(mode, text, parameters);
  }

  const scansOfWork = async (mode: PlanCache, work: Work): Promise<string[]> => scansOf(await planOfWork(mode, work));

  /** Through a prepared statement, because only those have generic plans; `explain` takes no parameters for it. */
  async function planOfStatement(mode: PlanCache, text: string, parameters: readonly unknown[]): Promise<PlanNode> {
    const literals = parameters.map((value) => escapeLiteral(Array.isArray(value) ? arrayText(value) : String(value)));
    const rolledBack = new Error('rolled back');
    let plan: PlanNode | undefined;
    const planned = store.transactions.run(async (tx) => {
      await tx.query(`set local plan_cache_mode = ${mode}`);
      await tx.query(`prepare planned as ${text}`);
      const rows = await tx.query<{ 'QUERY PLAN': string }>(
        `explain (analyze, format json) execute planned(${literals.join(', ')})`,
      );
      await tx.query('deallocate planned');
      plan = (JSON.parse(rows[0]!['QUERY PLAN']) as { Plan: PlanNode }[])[0]!.Plan;
      throw rolledBack;
    });
    await planned.catch((error: unknown) => {
      if (error !== rolledBack) throw error;
    });
    return plan!;
  }

  const scansOfStatement = async (mode: PlanCache, text: string, parameters: readonly unknown[]): Promise<string[]> =>
    scansOf(await planOfStatement(mode, text, parameters));

  /** Tables that are read from end to end though they have rows. */
  const readWhole = (scans: string[]): string[] =>
    scans.filter((scan) => scan.startsWith('Seq Scan') && filled.has(scan.replace('Seq Scan ', '')));

  const tablesOf = (scans: string[]): Set<string> => new Set(scans.map((scan) => scan.split(' ').at(-1)!));

  /** The indexes, as the migrations name them, that a plan rides. */
  const ridesOf = (plan: PlanNode): Set<string> =>
    new Set(indexesOf(plan).map((index) => parentIndexes.get(index) ?? index));

  /** A process that holds the leases of leased runs, with a claim for each, from number 1. */
  const holding = (leased: readonly FlowRunStory[]) =>
    fenceOf(store.fence.processId, ...leased.map(({ run }) => ({ rootFlowRunId: run.id, epoch: 0 })));
  const leasedRuns = (from: number, count: number): FlowRunStory[] =>
    flowRuns.slice(WAITING + from, WAITING + from + count).map((original) => {
      const story = new FlowRunStory(flowId, original.created);
      story.run = original.run;
      return story;
    });

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

    it('a lone move rides the primary key, and so does the look at its lease', async () => {
      const [story] = leasedRuns(99, 1);
      const { move, state } = story!.enter(running());
      const plan = await planOfWork(mode, (tx) => store.flowRuns.move(tx, holding([story!]), [move], [state]));
      expect(readWhole(scansOf(plan))).toEqual([]);
      expect(ridesOf(plan)).toContain('flow_run_pkey');
    });

    it('creating subflow runs looks at the leases of their roots by the primary key', async () => {
      const roots = leasedRuns(0, 5);
      const creations = roots.map((root, index) =>
        new FlowRunStory(flowId, { rootFlowRunId: root.run.id, parentTaskRunId: newId() }).begin(pending(), {
          claim: index + 1,
        }),
      );
      const plan = await planOfWork(mode, (tx) =>
        store.flowRuns.insert(
          tx,
          holding(roots),
          creations.map(({ row }) => row),
          creations.map(({ state }) => state),
        ),
      );
      expect(readWhole(scansOf(plan))).toEqual([]);
      expect(ridesOf(plan)).toEqual(new Set(['flow_run_pkey']));
    });

    it('saving task runs reads the leases they are written under and nothing else: conflicts are found by the key', async () => {
      const roots = leasedRuns(0, 5);
      const known = taskRuns.slice(0, 200).map((original, index) => {
        const story = new TaskRunStory(original.created.flowRunId, original.created);
        story.run = original.run;
        return story.enter(completed(), { claim: (index % 5) + 1 });
      });
      const plan = await planOfWork(mode, (tx) =>
        store.taskRuns.save(
          tx,
          holding(roots),
          known.map(({ write }) => write),
          known.map(({ state }) => state),
        ),
      );
      const scans = scansOf(plan);
      expect(readWhole(scans)).toEqual([]);
      const tables = [...tablesOf(scans.filter((scan) => /^(Index|Index Only|Bitmap Heap|Seq) Scan/.test(scan)))];
      expect(tables.filter((table) => !/^(process|flow_run_(\d{8}|default))$/.test(table))).toEqual([]);
      expect(ridesOf(plan)).toContain('flow_run_pkey');
    });

    it('keeping values reads the lease they are drawn under and nothing else', async () => {
      const [root] = leasedRuns(7, 1);
      const value = { flowRunId: root!.run.id, key: 'now-0', value: '1', claim: 1 };
      const plan = await planOfWork(mode, (tx) => store.runValues.keep(tx, holding([root!]), [value]));
      expect(readWhole(scansOf(plan))).toEqual([]);
      expect(ridesOf(plan)).toContain('flow_run_pkey');
    });

    it('runs that are due are claimed, and looked for, by the index of those that wait', async () => {
      const { processId } = store.fence;
      const request = { processId, app: 'test', flowIds: [flowId], limit: 50 };
      const claiming = await planOfWork(mode, (tx) => store.claims.claimFree(tx, request));
      expect(readWhole(scansOf(claiming))).toEqual([]);
      expect(ridesOf(claiming)).toContain('flow_run_free_idx');

      const looking = await planOfStatement(mode, nextFreeFlowRun('nestor'), ['test', [flowId], 0, 'build']);
      expect(readWhole(scansOf(looking))).toEqual([]);
      expect(ridesOf(looking)).toContain('flow_run_free_idx');
    });

    it('runs are looked for in the lines of keys by small tables, and taken from there by the index of lines', async () => {
      // As the functions of migration 0018 ask it: a plan within a function is not to be seen.
      const waiting = `select r.id, r.next_scheduled_start_time from nestor.flow_run r
         where r.state_type = 'SCHEDULED' and r.process_id is null and not r.awaits_turn and r.fair_line_id is not null
           and r.fair_line_id >= $1 and r.fair_line_id <= $1
         order by r.fair_line_id, r.next_scheduled_start_time, r.id limit 5 for no key update skip locked`;
      const plan = await planOfStatement(mode, waiting, [newId()]);
      expect(readWhole(scansOf(plan))).toEqual([]);
      expect(ridesOf(plan)).toContain('flow_run_line_idx');
    });

    it('orphans are let go by their ids', async () => {
      const ids = leasedRuns(0, 20).map(({ run }) => run.id);
      const scans = await scansOfWork(mode, (tx) => store.flowRuns.releaseOrphans(tx, ids));
      expect(readWhole(scans)).toEqual([]);
    });

    it('what is recorded of a run is read by the index of its tasks', async () => {
      const plan = await planOfStatement(
        mode,
        'select id, result from nestor.task_run where flow_run_id = $1 and not superseded order by id',
        [flowRuns[42]!.run.id],
      );
      expect(readWhole(scansOf(plan))).toEqual([]);
      expect(ridesOf(plan)).toEqual(new Set(['task_run_flow_run_idx']));
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
    const stories = leasedRuns(300, 200);
    const moves = stories.map((story, index) => story.enter(running(), { claim: index + 1 }));
    const plan = await planOfWork('force_generic_plan', (tx) =>
      store.flowRuns.move(
        tx,
        holding(stories),
        moves.map(({ move }) => move),
        moves.map(({ state }) => state),
      ),
    );
    expect(tablesOf(scansOf(plan)).size).toBeGreaterThan(1);
    expect(readWhole(scansOf(plan))).toEqual([]);
    expect(ridesOf(plan)).toContain('flow_run_pkey');
  });

  it('orphans are found by the index of runs that belong to a process, once most runs belong to none', async () => {
    await store.dataSource.query(`update nestor.flow_run set process_id = null where id <> all($1::uuid[])`, [
      leasedRuns(0, 30).map(({ run }) => run.id),
    ]);
    await store.dataSource.query('analyze');
    for (const mode of ['force_generic_plan', 'force_custom_plan'] as const) {
      const plan = await planOfStatement(mode, orphanedFlowRuns('nestor'), ['test', [flowId], 200]);
      expect(readWhole(scansOf(plan))).toEqual([]);
      expect(ridesOf(plan)).toContain('flow_run_process_idx');
    }
  });
});
