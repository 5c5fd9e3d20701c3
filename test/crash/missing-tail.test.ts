import { crashTests } from './crash-tests.ts';
import { missingTailScene } from './scenes/missing-tail.ts';

crashTests('missing tail', missingTailScene);
