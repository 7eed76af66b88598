import 'reflect-metadata';
import { plainToInstance, Type } from 'class-transformer';
import { IsInt, IsOptional, IsString, Matches, Max, Min, MinLength, validateSync } from 'class-validator';
import { durationMs, OrchestratorError } from '@nestor/core';

/** Every variable the bundled orchestrator reads, with its default. */
class Environment {
  /** Your own PostgreSQL (14 or newer); without it an embedded server is started. */
  @IsOptional()
  @IsString()
  DATABASE_URL?: string;

  /** Where the embedded server and reports keep their files. */
  @IsString()
  @MinLength(1)
  NESTOR_HOME: string = '.nestor';

  /** The address to listen on. */
  @IsString()
  @MinLength(1)
  NESTOR_HOST: string = '127.0.0.1';

  /** The port to listen on; 0 takes any free one. */
  @Type(() => Number)
  @IsInt()
  @Min(0)
  @Max(65_535)
  NESTOR_PORT: number = 4200;

  /** `user:password` that the API asks for; needed to listen beyond the loopback address. */
  @IsOptional()
  @Matches(/^[^:\s]+:.{8,}$/s, { message: 'NESTOR_AUTH must be user:password, the password of 8 characters or more' })
  NESTOR_AUTH?: string;

  /** The PostgreSQL schema for our tables. */
  @IsString()
  NESTOR_SCHEMA: string = 'nestor';

  /** The application this process belongs to. */
  @IsString()
  @MinLength(1)
  NESTOR_APP: string = 'default';

  /** The most database connections of this process. */
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(1_000)
  NESTOR_POOL_SIZE: number = 10;

  /** How long a shutdown waits for runs, such as `25s`. */
  @Matches(/^\d+(\.\d+)?(ms|s|m|h|d)$/, { message: 'NESTOR_DRAIN must be a duration such as 25s' })
  NESTOR_DRAIN: `${number}s` = '25s';

  /** Names the code that runs, such as a git commit; kept with every run. */
  @IsOptional()
  @IsString()
  NESTOR_BUILD_ID?: string;
}

/** What the bundled orchestrator is set to. */
export interface Settings {
  readonly database:
    { readonly url: string; readonly poolSize: number } | { readonly home: string; readonly poolSize: number };
  readonly home: string;
  readonly host: string;
  readonly port: number;
  readonly auth: string | null;
  readonly schema: string;
  readonly app: string;
  readonly drainMs: number;
  readonly buildId: string | null;
}

/** An environment variable has a value that cannot be used. */
export class InvalidEnvironmentError extends OrchestratorError {
  readonly code = 'ENVIRONMENT_INVALID';

  constructor(readonly problems: readonly string[]) {
    super(`The environment is not usable: ${problems.join('; ')}.`);
  }
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/;

/**
 * Reads the settings of the bundled orchestrator. A variable that is empty counts as not set.
 *
 * @throws {InvalidEnvironmentError} naming every variable that is wrong and what is wrong with it.
 */
export function readEnvironment(variables: NodeJS.ProcessEnv = process.env): Settings {
  const given = Object.entries(variables).filter(([, value]) => value !== undefined && value !== '');
  const known = Object.keys(new Environment()).concat(['DATABASE_URL', 'NESTOR_AUTH', 'NESTOR_BUILD_ID']);
  const environment = plainToInstance(Environment, Object.fromEntries(given.filter(([name]) => known.includes(name))), {
    exposeDefaultValues: true,
  });
  const problems = validateSync(environment).flatMap((error) => Object.values(error.constraints ?? {}));
  if (!LOOPBACK.test(environment.NESTOR_HOST) && environment.NESTOR_AUTH === undefined) {
    problems.push(
      `NESTOR_HOST is "${environment.NESTOR_HOST}", which others can reach; set NESTOR_AUTH=user:password as well, or keep 127.0.0.1`,
    );
  }
  if (problems.length > 0) throw new InvalidEnvironmentError(problems);

  const poolSize = environment.NESTOR_POOL_SIZE;
  return {
    database:
      environment.DATABASE_URL === undefined
        ? { home: environment.NESTOR_HOME, poolSize }
        : { url: environment.DATABASE_URL, poolSize },
    home: environment.NESTOR_HOME,
    host: environment.NESTOR_HOST,
    port: environment.NESTOR_PORT,
    auth: environment.NESTOR_AUTH ?? null,
    schema: environment.NESTOR_SCHEMA,
    app: environment.NESTOR_APP,
    drainMs: durationMs(environment.NESTOR_DRAIN, 'variable NESTOR_DRAIN'),
    buildId: environment.NESTOR_BUILD_ID ?? null,
  };
}
