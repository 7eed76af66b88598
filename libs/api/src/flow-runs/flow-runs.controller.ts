import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { FlowRuns, RunControl, RunInputs } from '@nestor/orchestrator';
import { UuidPipe } from '../errors/uuid.pipe.js';
import { flowRunDetailsDto, flowRunDto, taskRunDto } from './flow-run.dto.js';
import { answerOf, type OrchestrationResult } from './orchestration-result.js';
import { PageQuery } from './page.query.js';
import { ResumeFlowRunDto } from './resume-flow-run.dto.js';

/** `next` is the `cursor` of the following page, which may turn out to be empty; `null` when there is none. */
interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
}

@Controller('flow_runs')
export class FlowRunsController {
  constructor(
    private readonly flowRuns: FlowRuns,
    private readonly control: RunControl,
    private readonly inputs: RunInputs,
  ) {}

  /** Newest first. */
  @Get()
  async list(@Query() { limit, cursor }: PageQuery): Promise<Page<ReturnType<typeof flowRunDto>>> {
    const page = { limit, ...(cursor !== undefined && { before: cursor }) };
    return pageOf((await this.flowRuns.list(page)).map(flowRunDto), limit);
  }

  @Get(':id')
  async get(@Param('id', UuidPipe) id: string): Promise<ReturnType<typeof flowRunDetailsDto>> {
    return flowRunDetailsDto(await this.flowRuns.get(id));
  }

  /** In the order in which they were called. */
  @Get(':id/task_runs')
  async taskRuns(
    @Param('id', UuidPipe) id: string,
    @Query() { limit, cursor }: PageQuery,
  ): Promise<Page<ReturnType<typeof taskRunDto>>> {
    const page = { limit, ...(cursor !== undefined && { after: cursor }) };
    const taskRuns = await this.flowRuns.taskRunsOf(id, page);
    if (taskRuns.length === 0) await this.flowRuns.get(id); // nothing there, or no such run?
    return pageOf(taskRuns.map(taskRunDto), limit);
  }

  /** Lets a paused or suspended run go on, with the input that it asks for. */
  @Post(':id/resume')
  @HttpCode(200)
  resume(
    @Param('id', UuidPipe) id: string,
    @Body() { run_input: input }: ResumeFlowRunDto,
  ): Promise<OrchestrationResult> {
    return answerOf(this.control.resume(id, input == null ? {} : { input }));
  }

  /** What a run keeps under a key: the schema of the input that it asks for, the answer, a message. */
  @Get(':id/input/:key')
  async input(@Param('id', UuidPipe) id: string, @Param('key') key: string): Promise<unknown> {
    return this.inputs.get(id, key);
  }
}

function pageOf<Item extends { readonly id: string }>(items: readonly Item[], limit: number): Page<Item> {
  return { items, next: items.length === limit ? (items.at(-1)?.id ?? null) : null };
}
