import { crashTests } from './crash-tests.ts';
import { bucketScene, relearnScene, scrubRepairScene } from './scenes/bucket.ts';

crashTests('bucket', bucketScene);
crashTests('relearn', relearnScene);
crashTests('scrub repair', scrubRepairScene);
