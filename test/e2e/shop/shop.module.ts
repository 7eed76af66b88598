import { Module, type DynamicModule } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { OrchestratorModule } from '@nestor/orchestrator';
import { Bank } from './bank.js';
import { OrdersController } from './orders.controller.js';
import { Orders } from './orders.flow.js';
import { Stock } from './stock.entity.js';
import { Tenant } from './tenant.js';

/** A shop, in which orders are flows. The shop's tables and ours are in one database, each in a schema of its own. */
@Module({})
export class ShopModule {
  static forDatabase(url: string): DynamicModule {
    return {
      module: ShopModule,
      imports: [
        OrchestratorModule.forRoot({ database: { url }, app: 'shop' }),
        TypeOrmModule.forRoot({ type: 'postgres', url, entities: [Stock], synchronize: true }),
        TypeOrmModule.forFeature([Stock]),
      ],
      controllers: [OrdersController],
      providers: [Orders, Bank, Tenant],
    };
  }
}
