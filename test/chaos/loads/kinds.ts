import type { DynamicModule, INestApplicationContext, Provider } from '@nestjs/common';
import type { OrchestratorOptions } from '@nestor/orchestrator';
import type { Random } from '../random.js';
import type { ChaosServer } from '../server.js';
import type { Witness } from '../witness.js';
import type { LoadSettings } from './load-settings.js';

/** What of the command line a load is made of. */
interface LoadRequest {
  readonly nodes: number;
  readonly schedules: number;
  readonly seconds: number;
  readonly blackout: number;
}

/** What the processes are kept busy with. */
export interface Load {
  /** For people. */
  readonly about: string;
  /** How many processes, unless the command line says otherwise. */
  readonly nodes: number;
  /** How many seconds pass between two kills, unless the command line says otherwise. */
  readonly secondsPerKill: number;
  /** Called before any process starts. */
  prepare(server: ChaosServer): Promise<void>;
  /** What the processes are told; called right before the first of them starts. */
  settings(request: LoadRequest): LoadSettings;
}

/** Those who use an application. */
export interface Users {
  /** Asks for nothing more; what was asked for goes on. */
  quiesce(): void;
}

/** What they use it with. */
interface UsersOutfit {
  readonly app: INestApplicationContext;
  readonly witness: Witness;
  readonly random: Random;
  readonly report: (problem: string) => void;
}

/** The application of a load: what it is made of besides the orchestrator, and who uses it. */
export interface LoadedApplication {
  readonly options?: Pick<OrchestratorOptions, 'worker'>;
  readonly imports?: readonly DynamicModule[];
  readonly providers: readonly Provider[];
  /** Lets its users begin. */
  serve(outfit: UsersOutfit): Users;
}
