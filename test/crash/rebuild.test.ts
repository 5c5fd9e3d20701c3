import { crashTests } from './crash-tests.ts';
import { damagedIndexScene, doomedPacksScene, rebuildScene, tornChainScene } from './scenes/rebuild.ts';

crashTests('rebuild', rebuildScene);
crashTests('damaged index', damagedIndexScene);
crashTests('doomed packs', doomedPacksScene);
crashTests('torn chain', tornChainScene);
