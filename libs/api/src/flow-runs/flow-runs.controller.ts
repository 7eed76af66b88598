import { Controller, Get, Param, Query } from '@nestjs/common';
import { FlowRuns } from '@nestor/orchestrator';
import { flowRunDetailsDto, flowRunDto, taskRunDto } from './flow-run.dto.js';
import { PageQuery } from './page.query.js';

/** `next` is the `cursor` of the following page, `null` on the last one. */
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
  async get(@Param('id') id: string): Promise<ReturnType<typeof flowRunDetailsDto>> {
    return flowRunDetailsDto(await this.flowRuns.get(id));
  }

  /** In the order in which they were called. */
  @Get(':id/task_runs')
  async taskRuns(
    @Param('id') id: string,
    @Query() { limit, cursor }: PageQuery,
  ): Promise<Page<ReturnType<typeof taskRunDto>>> {
    const page = { limit, ...(cursor !== undefined && { after: cursor }) };
    return pageOf((await this.flowRuns.taskRunsOf(id, page)).map(taskRunDto), limit);
  }
}

function pageOf<Item extends { readonly id: string }>(items: readonly Item[], limit: number): Page<Item> {
  return { items, next: items.length === limit ? (items.at(-1)?.id ?? null) : null };
}
