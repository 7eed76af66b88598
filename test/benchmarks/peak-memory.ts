import { readFileSync } from 'node:fs';

/** The most memory this process has had resident so far, in MB. */
export function peakRssMb(): number {
  return peakRssKb() / 1_024;
}

/**
 * On Linux from proc(5): what getrusage(2) says of a process begins with what the process that started it had at that
 * time, and hides everything below.
 */
function peakRssKb(): number {
  if (process.platform === 'linux') {
    const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    if (kilobytes !== undefined) return Number(kilobytes);
  }
  return process.resourceUsage().maxRSS;
}
