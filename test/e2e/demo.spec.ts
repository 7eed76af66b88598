import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PATIENCE_MS, type AppProcess } from './support/app-process.js';
import { postmasterPid, Scene } from './support/scene.js';

jest.setTimeout(2 * PATIENCE_MS);

const UUID = /^[0-9a-f-]{36}$/;
const scene = new Scene();
afterEach(() => scene.end());

/** What the last line says, for programs. */
function lastLine(demo: AppProcess): unknown {
  return JSON.parse(demo.lines.at(-1)!);
}

it('the demo audits a project, shows how, and ends with a line for programs', async () => {
  const home = scene.directory();
  const demo = scene.demo({ env: { NESTOR_HOME: home } });
  expect(await demo.exit).toEqual({ code: 0, signal: null });
  expect(demo.errors).toBe('');

  const outcome = lastLine(demo);
  expect(outcome).toEqual({
    flow_run_id: expect.stringMatching(UUID),
    state: 'COMPLETED',
    task_runs: expect.any(Number),
    seconds: expect.any(Number),
  });
  const { flow_run_id: id, task_runs: taskRuns } = outcome as { flow_run_id: string; task_runs: number };
  expect(taskRuns).toBeGreaterThan(500);

  expect(demo.lines[0]).toContain(`(${id}) audits the packages of package-lock.json.`);
  const progress = demo.lines.filter((line) => line.includes(' task runs: '));
  expect(progress.length).toBeGreaterThanOrEqual(2);
  expect(progress.at(-1)).toBe(`Completed: task runs: ${taskRuns} completed`);
  expect(new Set(progress).size).toBe(progress.length);

  const packages = taskRuns - 3;
  expect(demo.stdout).toMatch(
    new RegExp(`^${packages} packages under \\d+ names: \\d+ production, \\d+ development`, 'm'),
  );
  expect(demo.lines.slice(-6, -1)).toEqual([
    expect.stringMatching(/^dependency-audit \S+ · Completed · [\d.]+ m?s$/),
    expect.stringMatching(/^├─ DependencyAudit\.readLockFile · Completed · [\d.]+ m?s$/),
    expect.stringMatching(
      new RegExp(`^├─ DependencyAudit\\.inspect × ${packages} · ${packages} Completed · median [\\d.]+ m?s, slowest `),
    ),
    expect.stringMatching(/^├─ DependencyAudit\.summarise · Completed · /),
    expect.stringMatching(/^└─ DependencyAudit\.writeReport · Completed · /),
  ]);
  expect(readFileSync(join(home, 'dependency-audit.md'), 'utf8')).toContain(`${packages} packages are installed`);
  expect(postmasterPid(home)).toBeNull();
});

it('without a lock file the demo fails with a clear message, and still ends with a line for programs', async () => {
  const home = scene.directory();
  const demo = scene.demo({ cwd: scene.directory(), env: { NESTOR_HOME: home } });
  expect(await demo.exit).toEqual({ code: 1, signal: null });

  expect(lastLine(demo)).toMatchObject({ flow_run_id: expect.stringMatching(UUID), state: 'FAILED' });
  expect(demo.stdout).toMatch(
    /^The run is Failed: .*The lock file "package-lock\.json" cannot be read: there is no such file; name a package-lock\.json written by npm\.$/m,
  );
  expect(demo.stdout + demo.stderr).not.toMatch(/^ +at /m);
  expect(demo.errors).toBe('');
  expect(existsSync(join(home, 'dependency-audit.md'))).toBe(false);
  expect(postmasterPid(home)).toBeNull();
});

it('a demo that is stopped halfway lets the run end and leaves nothing behind', async () => {
  const home = scene.directory();
  const demo = scene.demo({ env: { NESTOR_HOME: home } });
  await demo.line(/^Running: /);
  demo.interrupt();
  expect(await demo.exit).toEqual({ code: 130, signal: null });
  expect(demo.errors).toBe('');
  expect(postmasterPid(home)).toBeNull();
});
