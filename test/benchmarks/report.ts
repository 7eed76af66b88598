import { arch, cpus, platform, totalmem } from 'node:os';
import type { ServerSettings } from './server-settings.js';
import type { Figures } from './workload.js';

/** Says something to whoever watches; standard output is for results alone. */
export function note(line: string): void {
  console.error(line);
}

export function machineLine({ version, ...settings }: ServerSettings): string {
  const [cpu] = cpus();
  const memory = `${Math.round(totalmem() / 2 ** 30)} GB`;
  const machine = `${cpus().length} cores (${cpu?.model.trim() || 'unknown processor'}), ${memory}, ${platform()} ${arch()}`;
  const durability = Object.entries(settings).map(([name, value]) => `${name} ${value}`);
  return `${machine}; Node ${process.version}; PostgreSQL ${version}, ${durability.join(', ')}`;
}

export function resultLine(workload: string, n: number, { perS, limitPerS, ratio, more }: Figures): string {
  const figures = { per_s: perS, ms_each: 1_000 / perS, limit_per_s: limitPerS, ratio, ...more };
  const rounded = Object.entries(figures).map(([name, value]) => [name, readable(value)] as const);
  return JSON.stringify({ workload, n, ...Object.fromEntries(rounded) });
}

/** Four significant digits: the machine does not repeat itself more exactly than that. */
export function readable(figure: number): number {
  return Math.abs(figure) >= 1_000 ? Math.round(figure) : Number(figure.toPrecision(4));
}
