import { crashTests } from './crash-tests.ts';
import { giveUpScene } from './scenes/give-up.ts';

crashTests('give up', giveUpScene);
