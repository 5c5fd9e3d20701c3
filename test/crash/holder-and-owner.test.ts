import { crashTests } from './crash-tests.ts';
import { holderRebuildScene, ownerScene } from './scenes/holder.ts';

crashTests('holder rebuild', holderRebuildScene);
crashTests('owner', ownerScene);
