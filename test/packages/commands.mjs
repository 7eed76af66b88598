import { spawn } from 'node:child_process';

/** A command that did not do what it should; says everything that is needed to understand it. */
class CommandFailedError extends Error {
  constructor(commandLine, outcome, output) {
    super(`"${commandLine}" ${outcome}\n${output.trimEnd().split('\n').slice(-80).join('\n')}`);
  }
}

const running = new Set();

/** Ends what still runs, when the whole test is broken off. */
export function killCommands() {
  for (const child of running) child.kill('SIGKILL');
}

/**
 * Runs a command to its end and returns what it printed.
 *
 * @throws {CommandFailedError} with that output when it fails, or has not ended by itself after `timeoutMs`.
 */
export async function run(command, args, { cwd, timeoutMs = 240_000 }) {
  const windows = process.platform === 'win32'; // where commands are scripts for the shell
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], shell: windows });
  running.add(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  try {
    const [code, signal] = await new Promise((done, failed) => {
      child.once('error', failed);
      child.once('close', (...outcome) => done(outcome));
    });
    if (code === 0) return output;
    const outcome = late ? `did not end within ${timeoutMs / 1_000} s` : `failed (${signal ?? `exit code ${code}`})`;
    throw new CommandFailedError([command, ...args].join(' '), outcome, output);
  } finally {
    clearTimeout(timer);
    running.delete(child);
  }
}

/** What a newcomer's shell has: nothing of the `npm run` that started this, and no settings of ours. */
const env = {
  ...Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) =>
        !/^(NESTOR_|PG|npm_package_|npm_lifecycle_)/.test(name) &&
        !['DATABASE_URL', 'INIT_CWD', 'NODE_ENV', 'NODE_OPTIONS', 'NODE_PATH', 'npm_config_local_prefix'].includes(
          name,
        ),
    ),
  ),
  PATH: (process.env.PATH ?? '')
    .split(process.platform === 'win32' ? ';' : ':')
    .filter((folder) => !/node_modules[\\/]\.bin$/.test(folder))
    .join(process.platform === 'win32' ? ';' : ':'),
  NO_COLOR: '1',
  PORT: '0', // several applications listen at a time
  npm_config_audit: 'false',
  npm_config_fund: 'false',
  npm_config_loglevel: 'warn',
  npm_config_prefer_offline: 'true',
  npm_config_update_notifier: 'false',
};
