import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { CompiledProgram } from '../../support/compiled-program.js';

const run = promisify(execFile);

interface Outcome {
  readonly exitCode: number;
  /** The line of results. */
  readonly line: Readonly<Record<string, unknown>>;
  /** What was wrong, in words, and how it went. */
  readonly told: string;
}

/** What `npm run chaos` does at length, and to more processes. */
describe('processes that are killed under load', () => {
  let program: CompiledProgram;
  beforeAll(() => {
    program = new CompiledProgram('test/chaos/main.ts');
  }, 60_000);
  afterAll(() => program.remove());

  const chaos = async (load: string, args: readonly string[]): Promise<Outcome> => {
    const all = ['--load', load, '--faults', 'kill,cut', '--untimed', ...args];
    const { stdout, stderr, exitCode } = await run(process.execPath, [program.file, ...all]).then(
      ({ stdout, stderr }) => ({ stdout, stderr, exitCode: 0 }),
      (error: { stdout: string; stderr: string; code: number }) => ({ ...error, exitCode: error.code }),
    );
    return { exitCode, line: JSON.parse(stdout || '{}') as Outcome['line'], told: stderr };
  };
  const expectKept = ({ exitCode, line, told }: Outcome): void => {
    if (exitCode !== 0) console.error(told);
    expect({ exitCode, line }).toMatchObject({ exitCode: 0, line: { ok: true } });
  };

  it('make exactly one run of each time of a schedule, and complete it', async () => {
    const outcome = await chaos('schedules', ['--nodes', '2', '--schedules', '12', '--seconds', '6', '--kills', '2']);
    expectKept(outcome);
    expect(outcome.line).toMatchObject({ kills: 2, schedules: 12, missing: 0, duplicates: 0 });
    expect(outcome.line.instants).toBeGreaterThan(12);
  }, 180_000);

  it('have no more slots of a limit in use than it has at any commit, and none in the end', async () => {
    const outcome = await chaos('limits', ['--nodes', '3', '--seconds', '6', '--kills', '2']);
    expectKept(outcome);
    expect(outcome.line).toMatchObject({ kills: 2, most_in_use: { 'limit five': '5 of 5' }, in_use_in_the_end: 0 });
  }, 180_000);

  it('lose nothing that was enqueued, and do none of it twice', async () => {
    const outcome = await chaos('queue', ['--nodes', '2', '--seconds', '6', '--kills', '2']);
    expectKept(outcome);
    expect(outcome.line).toMatchObject({ kills: 2, lost: 0 });
    expect(outcome.line.acknowledged).toBeGreaterThan(50);
  }, 180_000);
});
