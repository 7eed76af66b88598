import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { identifyProcess } from './processes.js';

/**
 * Who uses the server: one empty file per open handle, `<pid>.<identity of the process>.<random>`. The name says it all,
 * so that a file is there completely or not at all. Read and written under the cluster's lock only.
 */
export class ClusterUsers {
  constructor(private readonly directory: string) {}

  /** Adds this process and returns what takes it off again. A process may be on the list several times. */
  register(): () => void {
    this.countLive(); // so that the dead do not pile up
    const name = `${process.pid}.${identifyProcess(process.pid)}.${randomBytes(6).toString('hex')}`;
    const file = join(this.directory, name);
    writeFileSync(file, '', { flag: 'wx', mode: 0o600 });
    return () => rmSync(file, { force: true });
  }

  /** The number of registrations of live processes; those of dead ones are removed. */
  countLive(): number {
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    return readdirSync(this.directory).filter((name) => {
      const [pid, identity] = name.split('.');
      if (identity !== undefined && identifyProcess(Number(pid)) === identity) return true;
      rmSync(join(this.directory, name), { force: true });
      return false;
    }).length;
  }
}
