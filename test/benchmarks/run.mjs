/** `npm run bench`: see `main.ts`. */
import { runCompiled } from '../support/compiled.mjs';

await runCompiled(import.meta.dirname);
