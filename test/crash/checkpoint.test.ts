import { crashTests } from './crash-tests.ts';
import { checkpointScene } from './scenes/checkpoint.ts';

crashTests('checkpoint', checkpointScene);
