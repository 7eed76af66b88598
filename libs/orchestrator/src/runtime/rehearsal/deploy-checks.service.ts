import { OrchestratorError } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { RunsInFlightRepository, type RunInFlight } from '../../records/flow-runs/runs-in-flight.repository.js';
import { RunValuesRepository, SEED_KEY } from '../../records/run-values/run-values.repository.js';
import { checkedLimit } from '../queries.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { ProcessAbilities } from '../leases/process-abilities.js';
import { FlowRegistry } from '../registry/flow-registry.js';
import { FlowNotRegisteredError } from '../registry/registry-errors.js';
import type { DeployReport, DivergentRun, UncheckedRun } from './deploy-report.js';
import { RunRecordings } from './run-recordings.service.js';

/** How many runs are read at a time. */
const PAGE = 100;
const DEFAULT_CONCURRENCY = 4;
const MAX_CONCURRENCY = 64;

/** What a check of a run found. */
type Finding =
  'compatible' | 'unaffected' | { readonly divergent: DivergentRun } | { readonly unchecked: UncheckedRun };

/** Tries the code of this process on all runs in flight: see {@link deployCheck}. */
@Injectable()
export class DeployChecks {
  constructor(
    private readonly runs: RunsInFlightRepository,
    private readonly values: RunValuesRepository,
    private readonly recordings: RunRecordings,
    private readonly registry: FlowRegistry,
    private readonly abilities: ProcessAbilities,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  /**
   * Rehearses every run of this application that has begun and not ended, subflows included, with what is recorded of it so
   * far: no task and no subflow is executed, no run is created, nothing is written. What methods of flows do besides calling
   * those is done. A method that stands still for a second has got as far as it gets.
   *
   * @param options `concurrency`: how many runs are rehearsed at a time, 1 to 64; default 4.
   * @throws {InvalidQueryError} when `concurrency` cannot be meant.
   */
  async check({ concurrency = DEFAULT_CONCURRENCY }: { readonly concurrency?: number } = {}): Promise<DeployReport> {
    const width = checkedLimit(concurrency, MAX_CONCURRENCY);
    const tally = { compatible: 0, unaffected: 0 };
    const divergent: DivergentRun[] = [];
    const unchecked: UncheckedRun[] = [];
    for await (const page of this.pages()) {
      for (const finding of await inTurns(page, width, (run) => this.examine(run))) {
        if (typeof finding === 'string') tally[finding] += 1;
        else if ('divergent' in finding) divergent.push(finding.divergent);
        else unchecked.push(finding.unchecked);
      }
    }
    const inFlight = tally.compatible + tally.unaffected + divergent.length + unchecked.length;
    const isSafe = divergent.length + unchecked.length === 0;
    return {
      buildId: this.abilities.buildId,
      app: this.settings.app,
      inFlight,
      ...tally,
      divergent,
      unchecked,
      isSafe,
    };
  }

  /** Each run once, also when it changes its state meanwhile. */
  private async *pages(): AsyncGenerator<readonly RunInFlight[]> {
    const seen = new Set<string>();
    const { app } = this.settings;
    for (const kind of ['waiting', 'active', 'waiting'] as const) {
      let page: RunInFlight[] = [];
      do {
        page = await this.runs[kind](app, page.at(-1) ?? null, PAGE);
        const fresh = page.filter(({ id }) => !seen.has(id));
        for (const { id } of fresh) seen.add(id);
        yield fresh;
      } while (page.length === PAGE);
    }
  }

  private async examine(run: RunInFlight): Promise<Finding> {
    const { id: flowRunId, name, flowName, stateName, buildId } = run;
    const told = { flowRunId, name, flowName, stateName, buildId };
    try {
      const definition = this.registry.flows().find((flow) => flow.name === flowName);
      if (!definition)
        throw new FlowNotRegisteredError(
          flowName,
          this.registry.flows().map((flow) => flow.name),
        );
      if (await this.isFree(run)) return 'unaffected';
      const recording = await this.recordings.export(flowRunId);
      const { newCalls, missingCalls, differences } = await this.recordings.replay(recording);
      if (differences.length === 0) return 'compatible';
      const byBuild = buildId === this.abilities.buildId ? 'fail' : 'warn';
      const consequence = definition.onDivergence ?? byBuild;
      return { divergent: { ...told, consequence, newCalls, missingCalls, differences } };
    } catch (error) {
      const code = error instanceof OrchestratorError ? error.code : 'REHEARSAL_FAILED';
      return { unchecked: { ...told, code, message: error instanceof Error ? error.message : String(error) } };
    }
  }

  /** Whether this code does not get it, or may do with it what it likes. */
  private async isFree({ id, stateName, pinnedBuildId }: RunInFlight): Promise<boolean> {
    if (pinnedBuildId !== null && pinnedBuildId !== this.abilities.buildId) return true;
    return stateName === 'AwaitingRetry' || (await this.values.byKey(id)).has(SEED_KEY);
  }
}

/** Works on all items, so many at a time; gives the outcomes in the order of the items. */
async function inTurns<Item, Outcome>(
  items: readonly Item[],
  width: number,
  work: (item: Item) => Promise<Outcome>,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const queue = items.entries();
  const worker = async (): Promise<void> => {
    for (const [index, item] of queue) outcomes[index] = await work(item);
  };
  await Promise.all(Array.from({ length: width }, worker));
  return outcomes;
}
