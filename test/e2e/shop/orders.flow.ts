import { Injectable, UseGuards, UseInterceptors } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import {
  Artifacts,
  exponentialBackoff,
  Flow,
  suspend,
  Task,
  transaction,
  type TransactionContext,
} from '@nestor/orchestrator';
import type { Repository } from 'typeorm';
import { Bank } from './bank.js';
import { Approval, Order, OrderRefusedError, OutOfStockError, type Receipt } from './order.js';
import { Stock } from './stock.entity.js';
import { Tenant } from './tenant.js';
import { TenantGuard } from './tenant.guard.js';
import { Timing } from './timing.interceptor.js';

/** From this amount on, in cents, somebody has to agree. */
const NEEDS_APPROVAL = 100_000;

/** From an order to its parcel. */
@Injectable()
export class Orders {
  constructor(
    private readonly tenant: Tenant,
    @InjectRepository(Stock) private readonly stock: Repository<Stock>,
    private readonly bank: Bank,
    private readonly artifacts: Artifacts,
  ) {}

  @UseGuards(TenantGuard)
  @UseInterceptors(Timing)
  @Flow({ name: 'place-order', runName: 'order {id} of {tenant}' })
  async place(order: Order): Promise<Receipt> {
    return transaction(async () => {
      const total = await this.reserve(order.sku, order.quantity);
      if (total >= NEEDS_APPROVAL) await this.askFor(order, total);
      const payment = await this.charge(order.id, total);
      const parcel = await this.ship(order.id, order.sku, order.quantity);
      await this.artifacts.markdown({
        key: `receipt-${order.id}`,
        markdown: `# Order ${order.id}\n\n${order.quantity} × ${order.sku}, ${total / 100} €, parcel ${parcel}`,
      });
      return { order: order.id, total, payment, parcel };
    });
  }

  /** The run leaves the process, for as long as it takes. */
  private async askFor(order: Order, total: number): Promise<void> {
    const { approved, note } = await suspend({
      input: Approval,
      description: `${order.quantity} × **${order.sku}** for ${order.tenant}: ${total / 100} €. Ship it?`,
      timeout: '2d',
    });
    if (!approved) throw new OrderRefusedError(note ?? 'The order was refused.');
  }

  /** What it takes off the shelf, and that it did, is one commit: it happens exactly once. */
  @Task<Orders['reserve']>({ transactional: true, onRollback: 'putBack' })
  async reserve(sku: string, quantity: number): Promise<number> {
    const where = { tenant: this.tenant.name, sku };
    const article = await this.stock.findOneByOrFail(where);
    if (article.available < quantity) throw new OutOfStockError(`There are ${article.available} of ${sku} left.`);
    await this.stock.decrement(where, 'available', quantity);
    return article.price * quantity;
  }

  async putBack({
    args: [sku, quantity],
    result,
  }: TransactionContext<[string, number], number | undefined>): Promise<void> {
    // One that failed has taken nothing: its own transaction was rolled back.
    if (result !== undefined) await this.stock.increment({ tenant: this.tenant.name, sku }, 'available', quantity);
  }

  @Task({ retries: 4, retryDelay: exponentialBackoff({ from: '20ms', jitter: 0.3 }), onRollback: 'refund' })
  async charge(order: string, amount: number): Promise<string> {
    return this.bank.charge(order, amount);
  }

  async refund({ args: [order] }: TransactionContext<[string, number], string>): Promise<void> {
    await this.bank.refund(order);
  }

  @Task()
  async ship(order: string, sku: string, quantity: number): Promise<string> {
    if (sku.startsWith('fragile')) throw new Error(`Nobody ships ${quantity} ${sku}.`);
    return `parcel-${order}`;
  }
}
