import { IsObject, IsOptional } from 'class-validator';

/** The body of `POST /flow_runs/{id}/resume`. */
export class ResumeFlowRunDto {
  /** What the run asks for, by field; left out when it asks for nothing, or when the initial values will do. */
  @IsOptional()
  @IsObject()
  run_input?: Record<string, unknown> | null;
}
