/**
 * Everything that can be said of the code without running it: `npm run check`.
 *
 * The steps are the `check:…` of package.json, two at a time: each keeps one core busy, and none writes anything. What a step
 * prints appears when it is over, so that the outputs do not mix; all are executed, whatever one of them finds.
 */
import { spawn } from 'node:child_process';

/** In the order in which they begin: the longest first, so that nobody waits for it alone. */
const STEPS = ['lint', 'format', 'types', 'imports', 'docs', 'exports'];
const AT_ONCE = 2;

const failed = [];
const queue = STEPS.values();
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (const step of queue) if (!(await succeeds(step))) failed.push(step);
  }),
);
if (failed.length > 0) console.error(`Failed: ${failed.map((step) => `npm run check:${step}`).join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;

function succeeds(step) {
  const began = performance.now();
  const windows = process.platform === 'win32'; // where npm is a script for the shell
  const child = spawn('npm', ['run', '--silent', `check:${step}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: windows,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  return new Promise((resolve) => {
    const end = (succeeded) => {
      const seconds = Math.round((performance.now() - began) / 1_000);
      console.log(`\n> check:${step} (${seconds} s)\n${output.trim()}`.trimEnd());
      resolve(succeeded);
    };
    child.once('error', (error) => {
      output += String(error);
      end(false);
    });
    child.once('close', (code) => end(code === 0));
  });
}
