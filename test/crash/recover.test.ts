import { crashTests } from './crash-tests.ts';
import { initScene } from './scenes/init.ts';
import { recoverScene } from './scenes/recover.ts';

crashTests('init', initScene);
crashTests('recover', recoverScene);
