import { crashTests } from './crash-tests.ts';
import { holderRebuildScene, holderScene, ownerScene } from './scenes/holder.ts';

crashTests('holder', holderScene);
crashTests('holder rebuild', holderRebuildScene);
crashTests('owner', ownerScene);
