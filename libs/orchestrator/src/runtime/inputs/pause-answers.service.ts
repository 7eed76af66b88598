import { schemaProblems, withDefaults, type State } from '@nestor/core';
import { Injectable } from '@nestjs/common';
import { newId } from '../../persistence/ids.js';
import {
  FlowRunInputsRepository,
  type NewFlowRunInput,
} from '../../records/flow-run-inputs/flow-run-inputs.repository.js';
import { RunControlRefusedError } from '../control/run-control-errors.js';
import { Payloads } from '../payloads/payloads.service.js';
import { InvalidRunInputError } from './input-errors.js';
import { jsonValue } from './json-value.js';

/** Checks what somebody answers to a paused run by what the run has said of it: its class need not be known here. */
@Injectable()
export class PauseAnswers {
  constructor(
    private readonly inputs: FlowRunInputsRepository,
    private readonly payloads: Payloads,
  ) {}

  /**
   * What the run is told when it is resumed with an input; `null` when it asks for none.
   *
   * @param input fields that are left out have their initial values; what is no object is taken for the one field `value`.
   * @throws {InvalidRunInputError} when it is not what the run asks for.
   * @throws {RunControlRefusedError} when it asks for nothing, or what it asks for is not known any more.
   */
  async answer(flowRunId: string, { type, details }: State, input: unknown): Promise<NewFlowRunInput | null> {
    const { schema: schemaKey, response: key } = details.runInputKeyset ?? {};
    if (schemaKey === undefined || key === undefined) {
      if (input === undefined || isEmpty(input)) return null;
      throw new RunControlRefusedError(flowRunId, 'resume', type, 'it asks for no input.');
    }
    const stored = await this.inputs.valueAt(flowRunId, schemaKey);
    if (stored === null) {
      throw new RunControlRefusedError(
        flowRunId,
        'resume',
        type,
        `it has no input ${schemaKey}, the schema of its input.`,
      );
    }
    const schema = await this.payloads.read(stored);
    const subject = `input for flow run ${flowRunId}`;
    const given = asObject(input === undefined ? {} : jsonValue(input, subject));
    const complete = withDefaults(schema, given);
    const problems = schemaProblems(schema, complete);
    if (problems.length > 0) throw new InvalidRunInputError(flowRunId, problems);
    const value = await this.payloads.seal(this.payloads.encode(complete, subject), { runId: flowRunId, subject });
    return { flowRunId, key, id: newId(), value, sender: null };
  }
}

function asObject(value: unknown): object {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : { value };
}

function isEmpty(input: unknown): boolean {
  return typeof input === 'object' && input !== null && Object.keys(input).length === 0;
}
