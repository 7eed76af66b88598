import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { ChaosArguments } from './arguments.js';
import { linesOf, readWitnesses } from './checker/evidence.js';
import type { Findings, Violation } from './checker/violation.js';
import { FaultInjector } from './fault-injector.js';
import { Fleet } from './fleet.js';
import { measureHandOvers } from './hand-overs.js';
import type { LoadSettings } from './loads/load-settings.js';
import { LOADS } from './loads/loads.js';
import { measure } from './measurements.js';
import { Random } from './random.js';
import { reportOf, type Report } from './report.js';
import { giveOneSlotMore } from './sabotage/slots.js';
import { planFaults } from './schedule.js';
import { ChaosServer } from './server.js';
import { settle } from './settle.js';

const PROGRESS_EVERY_MS = 5_000;
const MAX_FINDINGS_BYTES = 256 * 1024 * 1024;
/** Of a long run there are millions of rows. */
const CHECKER_MEGABYTES = 8_192;

const run = promisify(execFile);

/** One run of everything, and what it leaves behind until `close`: processes, a server, a directory. */
export class Harness {
  private readonly home = mkdtempSync(join(tmpdir(), 'nestor-chaos-'));
  private server: ChaosServer | null = null;
  private fleet: Fleet | null = null;

  constructor(
    private readonly args: ChaosArguments,
    private readonly note: (line: string) => void,
  ) {
    chmodSync(this.home, 0o755); // root starts the server as another user, who has to get in
  }

  async run(): Promise<Report> {
    const { seed, seconds, kills, faults, nodes, blackout, sabotage } = this.args;
    const { home, note } = this;
    const random = new Random(seed);
    const schedule = planFaults(random, { seconds, kills, processes: nodes }).filter(({ kind }) => faults.has(kind));
    note(`seed ${seed}: ${this.args.load}, ${nodes} processes, ${seconds} s, ${schedule.length} faults`);
    const server = (this.server = await ChaosServer.open(home));
    const serverUpSince = Date.now();
    const kind = LOADS[this.args.load];
    await kind.prepare(server);
    if (sabotage === 'slot-count') await giveOneSlotMore(server);
    const load = kind.settings(this.args);
    const fleet = (this.fleet = await Fleet.start(server, nodes, { home, random, load, sabotage }));

    const allUpSince = Date.now();
    const injector = new FaultInjector(fleet, server);
    const progress = setInterval(() => note(progressOf(injector, fleet)), PROGRESS_EVERY_MS);
    try {
      await Promise.all([injector.run(schedule), pause(seconds * 1_000)]);
    } finally {
      clearInterval(progress);
    }
    if (blackout > 0) {
      note(`${progressOf(injector, fleet)}; now nobody is there for ${blackout} s`);
      await injector.blackOut(blackout * 1_000);
    }
    note(`${progressOf(injector, fleet)}; settling`);
    writeFileSync(join(home, 'faults.json'), JSON.stringify(injector.injected, null, 2)); // for those who look into it
    const claimsLeft = await settle(fleet, server, note);
    await fleet.stop();

    const findings = await this.check(server, load);
    const lines = readWitnesses(home);
    const { injected } = injector;
    const [measurements, handOvers] = await server.administer(async (client) => [
      await measure(client, {
        ...{ faults: injected, givenUp: fleet.givenUp },
        ...{ began: linesOf({ lines }, 'flow'), serverUpSince },
      }),
      load.name === 'limits'
        ? await measureHandOvers(client, {
            faults: injected,
            acquired: linesOf({ lines }, 'acquired'),
            since: allUpSince,
          })
        : null,
    ]);
    const seen: Violation[] = fleet.mishaps.map((what) => ({ invariant: 'I9', what }));
    if (claimsLeft > 0) {
      const what = `${claimsLeft} claims of slots were there, and nobody asked for any more`;
      seen.push({ invariant: 'I4', what });
    }
    return reportOf(this.args, {
      findings: { ...findings, violations: [...findings.violations, ...seen] },
      measurements,
      handOvers,
      faults: injected,
      staleWritesRefused: fleet.staleWritesRefused,
    });
  }

  /** Ends what was started and removes what was written. */
  async close(): Promise<void> {
    this.fleet?.abandon();
    await this.server?.close();
    if (this.args.keep) this.note(`kept: ${this.home}`);
    else rmSync(this.home, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }

  private async check(server: ChaosServer, load: LoadSettings): Promise<Findings> {
    const program = join(__dirname, 'checker', 'check.js');
    const memory = `--max-old-space-size=${CHECKER_MEGABYTES}`;
    const args = [memory, program, server.superuserUrl, this.home, JSON.stringify(load)];
    const { stdout } = await run(process.execPath, args, { maxBuffer: MAX_FINDINGS_BYTES });
    return JSON.parse(stdout) as Findings;
  }
}

function progressOf({ injected }: FaultInjector, { slots }: Fleet): string {
  const counts = new Map<string, number>();
  for (const { kind } of injected) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const faults = [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ');
  return `${faults || 'nothing yet'}; processes are ${slots.map(({ condition }) => condition).join(', ')}`;
}
