/** Times within a day or a part of one: every combination of these. They are made as they are needed; a day may have 86,400. */
export interface Times {
  /** Ascending, as are the others. */
  readonly hours: readonly number[];
  readonly minutes: readonly number[];
  readonly seconds: readonly number[];
}

/** The seconds since midnight of all times from `from` on, ascending. */
export function* timesFrom({ hours, minutes, seconds }: Times, from: number): Generator<number> {
  for (const hour of hours) {
    if ((hour + 1) * 3_600 <= from) continue;
    for (const minute of minutes) {
      const start = hour * 3_600 + minute * 60;
      if (start + 60 <= from) continue;
      for (const second of seconds) if (start + second >= from) yield start + second;
    }
  }
}

/** How many there are. */
export function countOfTimes({ hours, minutes, seconds }: Times): number {
  return hours.length * minutes.length * seconds.length;
}

/** The seconds since midnight of one of them, counted from 0. */
export function timeAt({ hours, minutes, seconds }: Times, index: number): number {
  const ofMinute = index % seconds.length;
  const ofHour = ((index - ofMinute) / seconds.length) % minutes.length;
  const hour = Math.floor(index / (seconds.length * minutes.length));
  return hours[hour]! * 3_600 + minutes[ofHour]! * 60 + seconds[ofMinute]!;
}
