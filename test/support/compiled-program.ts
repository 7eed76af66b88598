import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { compile } from '../integration/embedded-postgres/support/sandbox.js';

const REPOSITORY = resolve(__dirname, '../..');

/** A program that a test starts as a process of its own, compiled into a directory; the packages are those of the repository. */
export class CompiledProgram {
  private readonly path = mkdtempSync(join(tmpdir(), 'nestor-test-'));

  /** @param source where it is in the repository; whatever lies beside it is compiled as well. */
  constructor(private readonly source: `${string}/${string}.ts`) {
    const folder = source.slice(0, source.lastIndexOf('/'));
    for (const directory of ['libs/core/src', 'libs/orchestrator/src', 'libs/schedule/src', 'migrations', folder]) {
      compile(join(REPOSITORY, directory), this.path);
    }
    symlinkSync(join(REPOSITORY, 'node_modules'), join(this.path, 'node_modules'), 'junction');
  }

  get file(): string {
    return join(this.path, this.source.replace(/\.ts$/, '.js'));
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
