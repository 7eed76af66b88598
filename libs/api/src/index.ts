export { ApiModule } from './api.module.js';
export type { AccessSettings } from './access/access.settings.js';
