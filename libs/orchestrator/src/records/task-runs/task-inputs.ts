/** Where an argument of a task comes from. */
export interface TaskInput {
  readonly input_type: 'task_run' | 'flow_run';
  readonly id: string;
}

/** By parameter; under `wait_for` what it waits for besides. */
export type TaskInputs = Readonly<Record<string, readonly TaskInput[]>>;
