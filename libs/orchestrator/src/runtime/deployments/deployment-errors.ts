import { OrchestratorError } from '@nestor/core';
import { keptProblems, shownProblems, type ParameterProblem } from '../parameters/parameter-problem.js';

/** A deployment, or a schedule of one, has a field that cannot be meant. */
export class InvalidDeploymentError extends OrchestratorError {
  readonly code = 'INVALID_DEPLOYMENT';

  constructor(
    /** `flow/deployment`, or where it was declared. */
    readonly deployment: string,
    readonly field: string,
    problem: string,
    options?: ErrorOptions,
  ) {
    super(`Deployment "${deployment}" cannot be kept: "${field}" ${problem}`, options);
  }
}

/** Two schedules of a deployment have one slug, or are the same to the letter. */
export class DuplicateScheduleError extends OrchestratorError {
  readonly code = 'DUPLICATE_SCHEDULE';

  constructor(
    readonly deployment: string,
    /** What both have in common: the slug, or the schedule itself. */
    readonly schedule: string,
  ) {
    super(
      `Deployment "${deployment}" has schedule ${schedule} twice: every time of it would be run twice. ` +
        `Leave one out, or give the two different slugs and parameters.`,
    );
  }
}

/** Parameters do not fit the schema of the deployment that is to be run with them. */
export class DeploymentParametersError extends OrchestratorError {
  readonly code = 'DEPLOYMENT_PARAMETERS_REFUSED';

  /** Every place that is wrong, the first 1,000 of them. */
  readonly problems: readonly ParameterProblem[];

  constructor(
    readonly deployment: string,
    problems: readonly ParameterProblem[],
  ) {
    super(
      `Deployment "${deployment}" does not take these parameters. ${shownProblems(problems)}. ` +
        `Give others, or let the deployment say enforceParameterSchema: false.`,
    );
    this.problems = keptProblems(problems);
  }
}

/** There is no such deployment, or none of its schedules is meant. */
export class DeploymentNotFoundError extends OrchestratorError {
  readonly code = 'DEPLOYMENT_NOT_FOUND';

  constructor(readonly deployment: string) {
    super(
      `There is no deployment "${deployment}"; give its id, or the name of its flow and its own: "flow/deployment".`,
    );
  }
}

/** A deployment has no such schedule. */
export class ScheduleNotFoundError extends OrchestratorError {
  readonly code = 'SCHEDULE_NOT_FOUND';

  constructor(
    readonly deployment: string,
    readonly schedule: string,
    known: readonly string[],
  ) {
    const others = known.length > 0 ? `; it has ${known.map((one) => `"${one}"`).join(', ')}` : '; it has none';
    super(`Deployment "${deployment}" has no schedule "${schedule}"${others}.`);
  }
}

/** More runs are asked for at once than are made at once. */
export class TooManyRunsError extends OrchestratorError {
  readonly code = 'TOO_MANY_RUNS';

  constructor(
    readonly deployment: string,
    readonly limit: number,
    remedy: string,
  ) {
    super(`More than ${limit} runs of deployment "${deployment}" are asked for at once; ${remedy}.`);
  }
}
