import { crashTests } from './crash-tests.ts';
import { demoteScene, recallScene } from './scenes/demote.ts';

crashTests('demote', demoteScene);
crashTests('recall', recallScene);
