/** A machine that was put back to an older image, and two machines that both believe to be one: forks are refused, never made, and both sides restore. */
import { cpSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect } from 'vitest';
import { restoresExactly } from '../crash/journal.ts';
import { edgestoreJson } from '../support/edgestore-process.ts';
import { faultTest } from './fault-test.ts';
import { Image } from './kit/media.ts';
import { OwnerAndHolders } from './owner-and-holders.ts';

let scene: OwnerAndHolders;
let image: Image | undefined;
afterEach(async () => {
  image?.remove();
  await scene.remove();
});

/** Four snapshots that the bucket has and the image, which is put back, does not know. */
async function putBackBehindTheBucket(): Promise<void> {
  scene = await OwnerAndHolders.make({ bucket: true });
  await scene.mustSync('s3');
  image = new Image(scene.vault.dataDir);
  for (let i = 0; i < 4; i++) {
    scene.vault.edit(50_000);
    await scene.mustSync('s3');
  }
  image.putBack();
}

faultTest('a machine that was put back acknowledges nothing at the bucket, and says why', async () => {
  await putBackBehindTheBucket();
  scene.vault.edit(50_000);
  const sync = await scene.sync('s3');
  expect([5, 9], sync.stderr).toContain(sync.exitCode);
  expect(`${sync.stdout}${sync.stderr}`).toMatch(/signed by it, which this machine does not have/);
  expect((await scene.run(['status', '--check'])).exitCode).toBe(20);
});

faultTest('what the bucket has is restorable after a machine was put back and went on', async () => {
  await putBackBehindTheBucket();
  const known = scene.acknowledged.map(({ entry }) => entry);
  scene.vault.edit(50_000);
  await scene.sync('s3');
  const recovered = join(scene.vault.base, 'recovered');
  await edgestoreJson([
    ...['recover', '--from', `file://${scene.bucket}`, '--recovery-file', scene.vault.sheet, '--read-only'],
    ...['--data-dir', recovered],
  ]);
  for (const entry of known)
    await restoresExactly(entry, ['--data-dir', recovered, '--agent', scene.vault.ownerName], 'from the bucket');
});

faultTest(
  'two copies of one data dir: the second that writes to the bucket is refused, the first goes on',
  async () => {
    scene = await OwnerAndHolders.make({ bucket: true });
    await scene.mustSync('s3');
    const clone = join(scene.vault.base, 'clone');
    cpSync(scene.vault.dataDir, clone, { recursive: true });
    rmSync(join(clone, 'run'), { recursive: true, force: true });
    scene.vault.edit(50_000);
    await scene.mustSync('s3');
    scene.vault.edit(60_000);
    const other = await scene.run(['sync', scene.root, '--wait', 's3', '--timeout', '20s'], ['--data-dir', clone]);
    expect([5, 9], other.stderr).toContain(other.exitCode);
    scene.vault.edit(70_000);
    await scene.mustSync('s3');
    expect(scene.brokenBeliefs()).toEqual([]);
    await scene.lastComesFrom(`file://${scene.bucket}`, 'from the bucket of two clones');
  },
);

faultTest('a data dir that is put back behind its holder is refused there, and a takeover ends it', async () => {
  scene = await OwnerAndHolders.make({ holders: 1 });
  const [holder] = scene.holders;
  if (holder === undefined) throw new Error('no holder');
  await scene.mustSync('peers=1');
  image = new Image(scene.vault.dataDir);
  scene.vault.edit(50_000);
  await scene.mustSync('peers=1');
  image.putBack();
  scene.vault.edit(60_000);
  const sync = await scene.sync('peers=1');
  expect([5, 9], sync.stderr).toContain(sync.exitCode);
  expect(scene.brokenBeliefs({ localIsIn: ['owner', 'holders'] })).toEqual([]);
  const again = join(scene.vault.base, 'again');
  await edgestoreJson([
    ...['recover', '--from', `https://127.0.0.1:${holder.port}`, '--recovery-file', scene.vault.sheet],
    ...['--agent', scene.vault.ownerName, '--data-dir', again],
  ]);
  expect(existsSync(join(again, 'vault.edge'))).toBe(true);
  for (const { entry, level } of scene.acknowledged) {
    if (level === 'peers=1') await restoresExactly(entry, ['--data-dir', again], 'after the takeover');
  }
});
