import { crashTests } from './crash-tests.ts';
import { restoreInsideScene, restoreScene } from './scenes/restore.ts';

crashTests('restore', restoreScene);
crashTests('restore inside', restoreInsideScene);
