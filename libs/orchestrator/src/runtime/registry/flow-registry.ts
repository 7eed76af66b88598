import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { placeOf, type FlowDefinition, type ProviderClass, type TaskDefinition } from './definitions.js';
import {
  FlowNotRegisteredError,
  FlowRegisteredTwiceError,
  TaskNotRegisteredError,
  TaskRegisteredTwiceError,
} from './registry-errors.js';

/** The flows and tasks of this application: by name, and by class and method. */
@Injectable()
export class FlowRegistry {
  private readonly flowsByName = new Map<string, FlowDefinition>();
  private readonly tasksByKey = new Map<string, TaskDefinition>();
  private readonly byClass = new Map<ProviderClass, Map<string, FlowDefinition | TaskDefinition>>();
  private readonly flowIds = new Map<string, string>();
  private ownFingerprint: string | null = null;

  /**
   * Adds a definition. The same method of the same class may come again (a class provided by two modules).
   *
   * @throws {FlowRegisteredTwiceError} when another method has the flow's name.
   * @throws {TaskRegisteredTwiceError} when another method of the class has the task's name.
   */
  add(definition: FlowDefinition | TaskDefinition): void {
    if (definition.kind === 'flow') {
      const other = this.flowsByName.get(definition.name);
      if (other && !isSamePlace(other, definition)) {
        throw new FlowRegisteredTwiceError(definition.name, [placeOf(other), placeOf(definition)]);
      }
      this.flowsByName.set(definition.name, definition);
    } else {
      const other = this.tasksByKey.get(definition.taskKey);
      if (other && !isSamePlace(other, definition)) {
        throw new TaskRegisteredTwiceError(definition.taskKey, [placeOf(other), placeOf(definition)]);
      }
      this.tasksByKey.set(definition.taskKey, definition);
    }
    this.ownFingerprint = null;
    const methods = this.byClass.get(definition.provider) ?? new Map<string, FlowDefinition | TaskDefinition>();
    this.byClass.set(definition.provider, methods.set(definition.methodName, definition));
  }

  /** The definition of a method of a class, `undefined` when it is not registered. */
  find(provider: ProviderClass, methodName: string): FlowDefinition | TaskDefinition | undefined {
    return this.byClass.get(provider)?.get(methodName);
  }

  /** @throws {FlowNotRegisteredError} when the method is not a registered flow. */
  getFlow(provider: ProviderClass, methodName: string): FlowDefinition {
    const definition = this.find(provider, methodName);
    if (definition?.kind === 'flow') return definition;
    throw new FlowNotRegisteredError(placeOf({ provider, methodName }), [...this.flowsByName.keys()]);
  }

  /** @throws {TaskNotRegisteredError} when the method is not a registered task. */
  getTask(provider: ProviderClass, methodName: string): TaskDefinition {
    const definition = this.find(provider, methodName);
    if (definition?.kind === 'task') return definition;
    throw new TaskNotRegisteredError(placeOf({ provider, methodName }), [...this.tasksByKey.values()].map(placeOf));
  }

  flows(): readonly FlowDefinition[] {
    return [...this.flowsByName.values()];
  }

  tasks(): readonly TaskDefinition[] {
    return [...this.tasksByKey.values()];
  }

  classes(): readonly ProviderClass[] {
    return [...this.byClass.keys()];
  }

  /**
   * Tells apart the code of this application, unless its build was given a name: by the source of all decorated methods.
   */
  get fingerprint(): string {
    if (this.ownFingerprint === null) {
      const sources = [...this.flowsByName.values(), ...this.tasksByKey.values()].map(
        (definition) => `${definition.kind} ${definition.name} ${definition.method.toString()}`,
      );
      this.ownFingerprint = createHash('sha256').update(sources.sort().join('\0')).digest('hex').slice(0, 16);
    }
    return this.ownFingerprint;
  }

  /** @throws {FlowNotRegisteredError} when no flow of this application has that id. */
  getFlowById(flowId: string): FlowDefinition {
    const definition = this.findFlowById(flowId);
    if (definition) return definition;
    throw new FlowNotRegisteredError(flowId, [...this.flowsByName.keys()]);
  }

  /** `undefined` when no flow of this application has that id. */
  findFlowById(flowId: string): FlowDefinition | undefined {
    for (const [name, id] of this.flowIds) {
      const definition = id === flowId ? this.flowsByName.get(name) : undefined;
      if (definition) return definition;
    }
    return undefined;
  }

  /** `undefined` when no task of this application has that key. */
  findTask(taskKey: string): TaskDefinition | undefined {
    return this.tasksByKey.get(taskKey);
  }

  /** The keys of the tasks that have hooks. */
  keysOfHookedTasks(): readonly string[] {
    return [...this.tasksByKey.values()].filter(({ hooks }) => hooks !== null).map(({ taskKey }) => taskKey);
  }

  /** The ids of all flows of this application. */
  allFlowIds(): readonly string[] {
    return [...this.flowIds.values()];
  }

  /** Notes the ids under which the database knows the flows. */
  setFlowIds(ids: ReadonlyMap<string, string>): void {
    for (const [name, id] of ids) this.flowIds.set(name, id);
  }

  /** The id of a registered flow; known once the application has started. */
  flowId(name: string): string {
    const id = this.flowIds.get(name);
    if (id === undefined) throw new FlowNotRegisteredError(name, [...this.flowIds.keys()]);
    return id;
  }
}

type Place = Pick<FlowDefinition, 'provider' | 'methodName'>;

function isSamePlace(one: Place, other: Place): boolean {
  return one.provider === other.provider && one.methodName === other.methodName;
}
