import { crashTests } from './crash-tests.ts';
import { holderScene } from './scenes/holder.ts';

crashTests('holder', holderScene);
