import { crashTests } from './crash-tests.ts';
import { wholeLogRepairScene } from './scenes/log-repair-whole.ts';

crashTests('log repair, whole', wholeLogRepairScene);
