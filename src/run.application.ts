import type { DynamicModule } from '@nestjs/common';
import { AppModule } from './app.module.js';
import { readEnvironment } from './config/environment.js';

/** What pools of type `nest-process` and `nest-thread` start for a run: the same application, which listens to nobody. */
export default function application(): DynamicModule {
  return AppModule.with(readEnvironment());
}
