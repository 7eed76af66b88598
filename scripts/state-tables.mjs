// Writes docs/state-tables.md: what the policies of libs/core make of every move from one state type to another, found out by
// asking them. With --check, says whether the file is up to date.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('..', import.meta.url));
const source = join(root, 'libs', 'core', 'src');
const target = join(root, 'docs', 'state-tables.md');

const files = readdirSync(source, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.spec.ts'))
  .map((entry) => join(entry.parentPath, entry.name));

/** Core, compiled for this run only: the tables come from the sources, whether or not they have been built. */
function loadCore() {
  const directory = mkdtempSync(join(tmpdir(), 'state-tables-'));
  const compilerOptions = { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 };
  try {
    writeFileSync(join(directory, 'package.json'), '{ "type": "commonjs" }');
    for (const file of files) {
      const path = join(directory, relative(source, file).replace(/\.ts$/, '.js'));
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, ts.transpileModule(readFileSync(file, 'utf8'), { compilerOptions }).outputText);
    }
    return createRequire(import.meta.url)(join(directory, 'index.js'));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** What the documentation of each rule says, by the name of the rule. */
function documentedRules() {
  const summaries = files
    .filter((file) => file.endsWith('.rule.ts'))
    .flatMap((file) => {
      const parsed = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
      return parsed.statements.filter(ts.isVariableStatement).map((statement) => {
        const name = /\bname: '([^']+)'/.exec(statement.getText())?.[1];
        const [documentation] = statement.getChildren().filter(ts.isJSDoc);
        return [name, (ts.getTextOfJSDocComment(documentation?.comment) ?? '').replace(/\s+/g, ' ')];
      });
    })
    .filter(([name]) => name !== undefined);
  return new Map(summaries);
}

const core = loadCore();
const summaries = documentedRules();
const { STATE_TYPES } = core;
const now = core.instantOfMs(1_800_000_000_000);
const inAnHour = core.addMs(now, 3_600_000);
const aMinuteAgo = core.addMs(now, -60_000);

const BLANK = {
  id: 'run',
  state: null,
  runCount: 0,
  expectedStartTime: null,
  nextScheduledStartTime: null,
  startTime: null,
  endTime: null,
  totalRunTimeUs: 0,
};
const NO_RETRIES = { retries: 0, retryDelaysMs: [] };
const ONE_RETRY = { retries: 1, retryDelaysMs: [] };

const flowRun = ({ policy = NO_RETRIES, ...over } = {}) => ({
  ...BLANK,
  kind: 'flow-run',
  parentTaskRunId: null,
  deploymentId: null,
  infrastructurePid: null,
  ...over,
  policy: { ...policy, resuming: false, pauseKeys: [], retryType: null },
});
const taskRun = (over = {}) => ({
  ...BLANK,
  kind: 'task-run',
  flowRunId: 'flow-run',
  flowRunRunCount: 1,
  tags: [],
  policy: NO_RETRIES,
  ...over,
});

/** One plain state of each type. */
const STATES = {
  SCHEDULED: core.scheduled({ scheduledTime: aMinuteAgo }),
  PENDING: core.pending(),
  RUNNING: core.running(),
  PAUSED: core.paused({ details: { pauseTimeout: inAnHour } }),
  CANCELLING: core.cancelling(),
  COMPLETED: core.completed(),
  FAILED: core.failed(),
  CRASHED: core.crashed(),
  CANCELLED: core.cancelled(),
};
const KEPT = { data: { persisted: true, value: 'reference' } };
const deployment = {
  limit: 1,
  collisionStrategy: 'ENQUEUE',
  gracePeriodMs: 300_000,
  slotFree: true,
  newLeaseId: 'lease',
};
const runningFlow = { flowRun: { state: STATES.RUNNING, runCount: 1 } };

/** A policy, and the situations in which it is shown. `from` and `to` replace plain states by telling ones. */
const CHAPTERS = [
  {
    policy: 'flowRunPolicy',
    title: 'Flow runs',
    intro: 'All flow runs, whether this process, another one or a foreign client proposes a state.',
    situations: [
      {
        title: 'A native run: due, no attempt left, paused in its process',
        run: flowRun(),
        facts: { reschedulable: true },
      },
      {
        title: 'A run of a deployment with a free slot: due in an hour, one retry left, suspended',
        run: flowRun({ deploymentId: 'deployment', policy: ONE_RETRY }),
        facts: { reschedulable: true, deployment },
        from: {
          SCHEDULED: core.scheduled({ scheduledTime: inAnHour }),
          PENDING: core.pending({ details: { scheduledTime: inAnHour } }),
          PAUSED: core.suspended({ details: { pauseTimeout: inAnHour } }),
        },
        to: { PAUSED: core.suspended({ details: { pauseTimeout: inAnHour } }) },
      },
      {
        title:
          'A foreign run without deployment, which only its own process can start: infrastructure started, suspended, completed with a result that is kept',
        run: flowRun({ infrastructurePid: 'pid' }),
        facts: { reschedulable: false },
        from: {
          PAUSED: core.suspended({ details: { pauseTimeout: inAnHour } }),
          COMPLETED: core.completed(KEPT),
        },
        to: { PAUSED: core.suspended({ details: { pauseTimeout: inAnHour } }) },
      },
      {
        title:
          'A run of a deployment without a free slot: found late, its pause timed out, claimed under a lease that is gone',
        run: flowRun({ deploymentId: 'deployment' }),
        facts: {
          reschedulable: true,
          deployment: { ...deployment, slotFree: false },
          leaseHeld: false,
          clientRenewsLeases: true,
        },
        from: {
          PENDING: core.pending({ details: { deploymentConcurrencyLeaseId: 'lost' } }),
          PAUSED: core.paused({ details: { pauseTimeout: aMinuteAgo } }),
        },
        to: { SCHEDULED: core.late({ scheduledTime: aMinuteAgo }) },
      },
      {
        title: 'A run of that deployment that another process takes over: it kept its slot',
        run: flowRun({ deploymentId: 'deployment' }),
        facts: { reschedulable: true, deployment: { ...deployment, slotFree: false } },
        from: { SCHEDULED: core.awaitingResume({ scheduledTime: now }) },
        to: { SCHEDULED: core.awaitingResume({ scheduledTime: now }) },
      },
    ],
  },
  {
    policy: 'forcedFlowRunPolicy',
    title: 'Flow runs, by force',
    intro: 'A state that is proposed with `force`.',
    situations: [
      {
        title: 'A run of a deployment: not started, suspended, completed with a result that is kept',
        run: flowRun({ deploymentId: 'deployment' }),
        facts: {},
        from: { PAUSED: core.suspended({}), COMPLETED: core.completed(KEPT) },
      },
    ],
  },
  {
    policy: 'markLateFlowRunPolicy',
    title: 'Flow runs that are found late',
    intro: 'What the search for late runs proposes; nobody else is held to this.',
    situations: [
      {
        title: 'A run of a deployment without a free slot that does not queue; SCHEDULED is proposed as `Late`',
        run: flowRun({ deploymentId: 'deployment' }),
        facts: { deployment: { ...deployment, slotFree: false, collisionStrategy: 'CANCEL_NEW' } },
        to: { SCHEDULED: core.late({ scheduledTime: aMinuteAgo }) },
      },
    ],
  },
  {
    policy: 'nativeTaskRunPolicy',
    title: 'Task runs of this process',
    intro: 'Decided from memory: no rule needs a fact.',
    situations: [
      {
        title: 'Due in an hour, one retry left, without a delay',
        run: taskRun({ policy: ONE_RETRY }),
        facts: {},
        from: {
          SCHEDULED: core.awaitingRetry({ scheduledTime: inAnHour }),
          PENDING: core.pending({ details: { scheduledTime: inAnHour } }),
        },
      },
    ],
  },
  {
    policy: 'coreTaskRunPolicy',
    title: 'Task runs that clients propose states for',
    intro:
      '`clientSideTaskRunPolicy` is the same without `secure-tag-slots`, for clients that take the slots of their task runs themselves.',
    situations: [
      {
        title:
          'Due, one retry left, a limited tag with a free slot, its flow run RUNNING, completed with a result that is kept',
        run: taskRun({ policy: ONE_RETRY, tags: ['tag'] }),
        facts: { ...runningFlow, tagLimits: [{ tag: 'tag', limit: 1, slotFree: true }], random: 0.5 },
        from: { COMPLETED: core.completed(KEPT) },
      },
      {
        title:
          'Due in an hour, no attempt left, its flow run in attempt 2, nothing kept, with a cache key nothing is remembered under',
        run: taskRun(),
        facts: { flowRun: { state: STATES.RUNNING, runCount: 2 }, cachedState: null },
        from: {
          SCHEDULED: core.scheduled({ scheduledTime: inAnHour }),
          PENDING: core.pending({ details: { scheduledTime: inAnHour } }),
        },
        to: {
          RUNNING: core.running({ details: { cacheKey: 'key' } }),
          COMPLETED: core.completed({ details: { cacheKey: 'key' } }),
        },
      },
      {
        title: 'The same while its flow run is PAUSED, and due',
        run: taskRun(),
        facts: { flowRun: { state: STATES.PAUSED, runCount: 1 } },
      },
    ],
  },
  {
    policy: 'backgroundTaskRunPolicy',
    title: 'Background task runs',
    intro: 'Chosen when the proposed state is `deferred`.',
    situations: [
      {
        title: 'Due, one retry left',
        run: taskRun({ policy: ONE_RETRY, flowRunId: null }),
        facts: {},
        from: {
          SCHEDULED: core.scheduled({ scheduledTime: aMinuteAgo, details: { deferred: true, taskParametersId: 'p' } }),
        },
        details: { deferred: true },
      },
    ],
  },
  {
    policy: 'forcedTaskRunPolicy',
    title: 'Task runs, by force',
    intro: 'A state that is proposed with `force`.',
    situations: [{ title: 'A run with a limited tag', run: taskRun({ tags: ['tag'] }), facts: {} }],
  },
];

/** The run as it is after it has entered a state, so that it has been RUNNING once if it has. */
function runIn(run, proposed) {
  if (proposed === null) return run;
  const state = { ...proposed, id: 'state', timestamp: aMinuteAgo };
  return run.kind === 'flow-run' ? core.advanceFlowRun(run, state, {}) : core.advanceTaskRun(run, state, 1);
}

/** What becomes of a proposal, and which rules had a say in it: their numbers in the policy. */
function cellOf(policy, run, proposed, facts) {
  const spoke = [];
  const overheard = policy.map((rule, index) => ({
    ...rule,
    decide: (...asked) => {
      const ruling = rule.decide(...asked);
      const changes =
        ruling.kind !== 'amend' || ['proposed', 'policy', 'startsOver', 'effects'].some((key) => key in ruling);
      if (ruling.kind !== 'pass' && changes) spoke.push(index + 1);
      return ruling;
    },
  }));
  const verdict = core.decide(overheard, { run, proposed, now }, facts);
  if (verdict.kind === 'needs-facts') throw new Error(`The situation lacks the facts ${verdict.names.join(', ')}.`);
  const rules = spoke.length > 0 ? ` <sup>${spoke.join(' ')}</sup>` : '';
  if (verdict.kind === 'wait') return `wait <sup>${spoke.at(-1)}</sup>`;
  if (verdict.kind === 'abort') return `✗ <sup>${spoke.at(-1)}</sup>`;
  if (verdict.kind === 'accept') return `✓${rules}`;
  return verdict.state === null ? `= <sup>${spoke.at(-1)}</sup>` : `→ ${verdict.state.name}${rules}`;
}

const row = (cells) => `| ${cells.join(' | ')} |`;

function tableOf(policy, { title, run, facts, from = {}, to = {}, details = {} }) {
  const rows = [null, ...STATE_TYPES].map((type) => {
    const before = runIn(run, type === null ? null : (from[type] ?? STATES[type]));
    const cells = STATE_TYPES.map((proposedType) => {
      const proposed = to[proposedType] ?? STATES[proposedType];
      return cellOf(policy, before, { ...proposed, details: { ...proposed.details, ...details } }, facts);
    });
    return row([type === null ? '*no state*' : `**${type}**`, ...cells]);
  });
  return [
    `### ${title}`,
    '',
    row(['from ↓ to →', ...STATE_TYPES]),
    row(Array(STATE_TYPES.length + 1).fill('---')),
    ...rows,
  ];
}

/** `any`, a list, or what is left out when that is shorter. */
function filterText(filter) {
  if (filter === 'any') return 'any';
  const names = (types) => types.map((type) => type ?? '*no state*').join(', ');
  const all = [null, ...STATE_TYPES];
  const missing = all.filter((type) => !filter.includes(type));
  return missing.length > 0 && missing.length < filter.length ? `any but ${names(missing)}` : names(filter);
}

function chapterOf({ policy: name, title, intro, situations }) {
  const policy = core[name];
  const rules = policy.map((rule, index) => {
    const summary = summaries.get(rule.name);
    if (!summary) throw new Error(`Rule ${rule.name} says nothing about itself.`);
    return row([
      index + 1,
      `\`${rule.name}\``,
      filterText(rule.from),
      filterText(rule.to),
      summary.replaceAll('|', '\\|'),
    ]);
  });
  return [
    `## ${title}: \`${name}\``,
    '',
    intro,
    '',
    row(['#', 'rule', 'from', 'to', 'why']),
    row(Array(5).fill('---')),
    ...rules,
    '',
    ...situations.flatMap((situation) => [...tableOf(policy, situation), '']),
  ];
}

const text = `# State tables

What becomes of a proposed state, for every pair of state types and every policy. Made from \`libs/core\` by asking its policies; the words
about each rule are those of its documentation.

| cell | means |
| --- | --- |
| ✓ | accepted: the run enters the proposed state |
| → Name | rejected: the run enters the state of that name instead |
| = | rejected: the run stays in its state |
| wait | nothing is written; ask again later |
| ✗ | aborted: nothing is written; stop asking |

Small numbers are those of the rules that had a say: they refused, put another state in place, filled in details, changed what
the run's policy says, or caused something outside the run (a slot, a lease, a queue). A rule judges the proposal; rules about
the outcome (\`about: 'outcome'\`) see whatever state is entered in the end.

${CHAPTERS.flatMap(chapterOf).join('\n').trimEnd()}
`;

if (process.argv.includes('--check')) {
  if (readFileSync(target, 'utf8') !== text) {
    console.error('docs/state-tables.md does not say what the policies say; run: npm run docs');
    process.exit(1);
  }
} else {
  writeFileSync(target, text);
}
