// One engine process. Mechanisms are switched off before anything of the engine is loaded.
import type { EngineSettings } from './messages.js';

const settings = JSON.parse(process.argv[2] ?? '') as EngineSettings;
process.on('SIGINT', () => undefined); // Ctrl-C reaches us too; the harness decides what becomes of us
process.once('disconnect', exitAlone);
void main();

async function main(): Promise<void> {
  if (settings.sabotage) await (await import('./sabotage/switch-off.js')).switchOff(settings.sabotage);
  const { runEngine } = await import('./engine.js');
  await runEngine(settings, () => process.off('disconnect', exitAlone));
}

/** Nobody is there any more who would end us. */
function exitAlone(): void {
  process.exit(1);
}
