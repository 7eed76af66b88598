import type { CronScheduleInput, Duration, Instant, IntervalScheduleInput, RRuleScheduleInput } from '@nestor/core';
import type { ReferableParameters } from '../references/reference.js';

/** Parameters of a run by name: the fields of the one object that the flow takes, else its arguments by position from `"0"`. */
export type ParametersByName = Readonly<Record<string, unknown>>;

/**
 * What becomes of a run of a schedule that is due while an earlier one goes on. `allow`: both go on. `skip`: it is cancelled, as
 * `Skipped`. `buffer_one`: it waits for the end of the other; further ones are skipped meanwhile. `buffer_all`: all wait, and go
 * on one after the other. `cancel_other`: the earlier one is cancelled, and the new one begins once it has ended.
 */
export type ScheduleOverlap = 'allow' | 'skip' | 'buffer_one' | 'buffer_all' | 'cancel_other';

/**
 * What becomes of the times of a schedule that passed while no process of the application was there. `none`: they are passed
 * over. `latest`: the last of them is run. `all`: each is run.
 */
export type ScheduleCatchUp = 'none' | 'latest' | 'all';

/** What a schedule says besides its times. */
export interface ScheduleSettings<P = ParametersByName> {
  /** Its name among the schedules of the deployment, by which it stays the same schedule when its times change. Default: none. */
  readonly slug?: string;
  /** Whether runs are made. Default: as it is; a new one is active. */
  readonly active?: boolean;
  /**
   * What its runs are called with in place of what the deployment says; references are looked up when a run
   * begins. Default: nothing.
   */
  readonly parameters?: ReferableParameters<P>;
  /** How many runs that are not due yet there are at most, from 1 to 100. Default: at least 3 and an hour ahead, at most 100. */
  readonly maxScheduledRuns?: number;
  /** No times before this one. Default: no bound. */
  readonly startsAt?: Date | string | Instant;
  /** No times from this one on. Default: no bound. */
  readonly endsAt?: Date | string | Instant;
  /** Runs are due at some moment up to this long after their time, always the same for the same time. Default 0. */
  readonly jitter?: Duration;
  /** Default `allow`. */
  readonly overlap?: ScheduleOverlap;
  /** Default: runs that were made before are late, as when everybody is busy; for times beyond those none are made. */
  readonly catchUp?: ScheduleCatchUp;
  /** Missed times that are older are passed over. Only with `catchUp`. Default: no bound. */
  readonly catchUpWindow?: Duration;
}

/** When a deployment is to run: `cron`, `interval` or `rrule`, and what its runs are like. */
export type ScheduleOptions<P = ParametersByName> = (CronScheduleInput | IntervalScheduleInput | RRuleScheduleInput) &
  ScheduleSettings<P>;

/** How many runs of a deployment may go on at once. */
export interface DeploymentConcurrency {
  /** From 1. */
  readonly limit: number;
  /**
   * What becomes of a run that finds the limit used up: it waits for its turn (`ENQUEUE`), is cancelled (`CANCEL_NEW`), cancels
   * the oldest that goes on (`CANCEL_RUNNING`), or takes the place of the one that waits (`REPLACE_PENDING`). Default `ENQUEUE`.
   */
  readonly onCollision?: 'ENQUEUE' | 'CANCEL_NEW' | 'CANCEL_RUNNING' | 'REPLACE_PENDING';
  /** How long a run holds its place without a sign of life, from 60 s to a day. Default `5m`. */
  readonly gracePeriod?: Duration;
}

/** What a key may be: it is kept as text. */
type KeyValue = string | number | boolean | bigint;

type PathsOf<T, Depth extends readonly unknown[] = []> = Depth['length'] extends 4
  ? never
  : {
      [Name in keyof T & (string | number)]-?: unknown extends T[Name]
        ? `${Name}` | `${Name}.${string}`
        : NonNullable<T[Name]> extends KeyValue
          ? `${Name}`
          : NonNullable<T[Name]> extends readonly unknown[] | ((...args: never[]) => unknown)
            ? never
            : `${Name}.${PathsOf<NonNullable<T[Name]>, [...Depth, unknown]>}`;
    }[keyof T & (string | number)];

/** Where among parameters a text, a number or a truth value is: `tenant`, or `order.tenant`. Four names deep at most. */
export type FairnessPath<P> = [keyof P] extends [never] ? string : PathsOf<P>;

/** How the runs of a deployment take turns where they wait, and what those of one key may do. */
export interface DeploymentFairness<P = ParametersByName> {
  /**
   * Which parameter is the key of a run: runs with the same value share a line, and lines take turns. A run in which it is
   * missing, or empty, has none. Values of more than 200 characters are shortened, each to another key.
   */
  readonly key: FairnessPath<P> & string;
  /** How many turns a key gets for one of a key with weight 1, from 0.001 to 1000. Default: `defaultWeight`. */
  readonly weights?: Readonly<Record<string, number>>;
  /** The weight of the other keys. Default 1. */
  readonly defaultWeight?: number;
  /** How many runs of a key may go on at once, from 1. Others wait, out of the way of other keys. Default: no limit. */
  readonly concurrency?: number;
  /**
   * How many runs of a key may begin: `limit` at once, and as many in each further `period`, one after the other. Runs that go on
   * after a crash or try again do not count. Default: no limit.
   */
  readonly rate?: { readonly limit: number; readonly period: Duration };
}

/** Where the runs of a deployment wait for a worker. */
export interface DeploymentWorkPool {
  readonly name: string;
  /** Default: the default queue of the pool. */
  readonly queue?: string;
}

/** A flow that runs on its own. What is left out of a deployment that is there already goes back to its default. */
export interface DeploymentOptions<P = ParametersByName> {
  /** Unique among the deployments of the flow: the two names together name it, `flow/deployment`. */
  readonly name: string;
  /** For people, kept with its runs. Default: none. */
  readonly version?: string;
  readonly description?: string;
  /** Tags of its runs, besides those of the flow; at most 100, of 1 to 200 characters. Default: none. */
  readonly tags?: readonly string[];
  /** Labels of its runs. Default: none. */
  readonly labels?: Readonly<Record<string, string | number | boolean>>;
  /**
   * What its runs are called with unless they say otherwise; at most 512 KB. May hold references: {@link variable},
   * {@link template}, {@link json}, {@link block}. Default: nothing.
   */
  readonly parameters?: ReferableParameters<P>;
  /** Whether parameters are checked by the schema of the flow when a run is made. Default `true`. */
  readonly enforceParameterSchema?: boolean;
  /** For the worker that executes its runs. Default: none. */
  readonly jobVariables?: Readonly<Record<string, unknown>>;
  /** The work pool in which its runs wait. Default: none; any process of the application that has the flow takes them. */
  readonly workPool?: string | DeploymentWorkPool;
  /** How many of its runs may go on at once. Default: no limit. */
  readonly concurrency?: number | DeploymentConcurrency;
  /** Who goes first of its runs that wait, by key: a tenant, a customer. Default: those that have been due longest. */
  readonly fairness?: DeploymentFairness<P>;
  /** Whether nothing is scheduled. Default: as it is; a new one is not paused. */
  readonly paused?: boolean;
  readonly schedules?: readonly ScheduleOptions<P>[];
}
