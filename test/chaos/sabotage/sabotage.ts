/**
 * What can be switched off:
 * - `fence`: a process that was taken for dead writes on
 * - `journal`: states are acknowledged some time before they are written
 * - `sweeper`: nobody takes over the runs of dead processes
 * - `replay`: a resumed run finds nothing recorded
 */
export const SABOTAGES = ['fence', 'journal', 'sweeper', 'replay'] as const;
export type Sabotage = (typeof SABOTAGES)[number];
