import { crashTests } from './crash-tests.ts';
import { interruptedScene, mergeScene } from './scenes/sync.ts';

crashTests('merge', mergeScene);
crashTests('interrupted', interruptedScene);
