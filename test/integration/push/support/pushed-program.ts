import 'reflect-metadata';
import { join } from 'node:path';
import { executeHandedOver, type HandedLease } from '@nestor/orchestrator';

// What stands behind a URL starts this for each run that is posted to it.
const lease = JSON.parse(process.env.NESTOR_LEASE!) as HandedLease;
void executeHandedOver(join(__dirname, 'pushed.application.js'), lease).then((exitCode) => process.exit(exitCode));
