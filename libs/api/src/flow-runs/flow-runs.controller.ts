import { Controller, Get, Param, Query } from '@nestjs/common';
import { FlowRuns } from '@nestor/orchestrator';
import { UuidPipe } from '../errors/uuid.pipe.js';
import { flowRunDetailsDto, flowRunDto, taskRunDto } from './flow-run.dto.js';
import { PageQuery } from './page.query.js';

/** `next` is the `cursor` of the following page, which may turn out to be empty; `null` when there is none. */
interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
}

@Controller('flow_runs')
export class FlowRunsController {
  constructor(private readonly flowRuns: FlowRuns) {}

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
}

function pageOf<Item extends { readonly id: string }>(items: readonly Item[], limit: number): Page<Item> {
  return { items, next: items.length === limit ? (items.at(-1)?.id ?? null) : null };
}
