import { crashTests } from './crash-tests.ts';
import { interruptedScene, mergeScene, syncScene } from './scenes/sync.ts';

crashTests('sync', syncScene);
crashTests('merge', mergeScene);
crashTests('interrupted', interruptedScene);
