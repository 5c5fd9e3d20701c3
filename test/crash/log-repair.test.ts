import { crashTests } from './crash-tests.ts';
import { logRepairScene } from './scenes/log-repair.ts';

crashTests('log repair', logRepairScene);
