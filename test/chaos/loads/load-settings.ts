/** What the processes of a load are told about it. */
export type LoadSettings =
  | { readonly name: 'engine' }
  | {
      readonly name: 'schedules';
      /** How many there are; each fires every second. */
      readonly schedules: number;
      /** From then on they do not: a whole second, in milliseconds since 1970. */
      readonly endsAt: number;
    }
  | {
      readonly name: 'limits';
      /** How many parts of each process ask for slots, again and again. */
      readonly acquirers: number;
    }
  | { readonly name: 'queue' };

export type LoadName = LoadSettings['name'];
