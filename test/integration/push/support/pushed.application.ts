import { Module } from '@nestjs/common';
import { OrchestratorModule } from '@nestor/orchestrator';
import { PushedFlows } from './pushed-flows.js';

@Module({
  imports: [OrchestratorModule.forRoot({ app: 'pushed', database: { url: process.env.PUSHED_URL! } })],
  providers: [PushedFlows],
})
class PushedApplication {}

// What the program starts, by the name of the file.
// ts-unused-exports:disable-next-line
export default PushedApplication;
