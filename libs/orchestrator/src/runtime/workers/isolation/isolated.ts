let isolated = false;

/** Notes that this process, or this thread, is there for one run alone. Before the application is loaded. */
export function isolate(): void {
  isolated = true;
}

/** Whether this process, or this thread, is there for one run alone, which somebody hands over to it. */
export function isIsolated(): boolean {
  return isolated;
}
