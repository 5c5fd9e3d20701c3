import { crashTests } from './crash-tests.ts';
import { syncScene } from './scenes/sync.ts';

crashTests('sync', syncScene);
