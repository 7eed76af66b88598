import { Body, Controller, Get, Param, Post, UseGuards } from '@nestjs/common';
import { Artifacts, FlowRuns, Flows, RunControl } from '@nestor/orchestrator';
import { Approval, Order, type Receipt } from './order.js';
import { Orders } from './orders.flow.js';
import { TenantGuard } from './tenant.guard.js';

/** What the shop's customers and staff see. */
@Controller('orders')
@UseGuards(TenantGuard)
export class OrdersController {
  constructor(
    private readonly flows: Flows,
    private readonly runs: FlowRuns,
    private readonly control: RunControl,
    private readonly artifacts: Artifacts,
  ) {}

  /** Comes back as soon as the order cannot be lost any more. */
  @Post()
  async place(@Body() order: Order): Promise<{ readonly run: string }> {
    const { id } = await this.flows.start(Orders, 'place', order);
    return { run: id };
  }

  @Get(':run')
  async look(@Param('run') run: string): Promise<{ readonly state: string; readonly receipt: Receipt | null }> {
    const { stateType, stateName } = await this.runs.get(run);
    const receipt = stateType === 'COMPLETED' ? ((await this.runs.outcome(run)) as Receipt) : null;
    return { state: stateName ?? 'New', receipt };
  }

  @Post(':run/approval')
  async approve(@Param('run') run: string, @Body() approval: Approval): Promise<void> {
    await this.control.resume(run, { input: { ...approval } });
  }

  @Get('receipts/:order')
  async receipt(@Param('order') order: string): Promise<{ readonly text: unknown }> {
    const artifact = await this.artifacts.latest(`receipt-${order}`);
    return { text: artifact?.data ?? null };
  }
}
