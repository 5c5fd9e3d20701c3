/** Media that change, go away or fill up below the file system, on a disk of their own. */
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect } from 'vitest';
import { edgestoreJson, runEdgestore } from '../support/edgestore-process.ts';
import { pseudoRandom } from '../support/hostile-tree.ts';
import { faultTest } from './fault-test.ts';
import { dropCaches, LoopDisk } from './kit/loop-disk.ts';
import { dataPacksBelow } from './kit/media.ts';
import { OwnerAndHolders } from './owner-and-holders.ts';

let scene: OwnerAndHolders;
let disk: LoopDisk | undefined;
afterEach(async () => {
  disk?.remove();
  disk = undefined;
  await scene.remove();
});

const needs = ['loop disk'] as const;
/** Below 192 MiB of free space nothing new is stored. */
const DISK_MIB = 320;
const largest = (paths: readonly string[]): string =>
  [...paths].sort((a, b) => statSync(b).size - statSync(a).size)[0] ?? '';

faultTest(
  'tier run drops no copy because of what the page cache has: a byte changed on the archive is noticed',
  async () => {
    scene = await OwnerAndHolders.make({ files: false });
    disk = LoopDisk.make(scene.vault.base, 'archive', 64);
    addTierTo(disk.folder);
    writeFileSync(join(scene.root, 'only here'), pseudoRandom(400_000, 3));
    await scene.mustSync('local');
    // The first run fills the archive; the second finds it in the page cache.
    await scene.json(['tier', 'run', '--yes']);
    await scene.json(['tier', 'recall', scene.root]);
    disk.changeBelow(largest(dataPacksBelow(disk.folder)), 1000);
    await scene.run(['tier', 'run', '--yes']);
    dropCaches();
    await scene.everythingRestores('after tier run on a changed medium');
  },
  { needs },
);

faultTest(
  'scrub reads the medium: a byte changed below the page cache is found',
  async () => {
    scene = await OwnerAndHolders.make({ files: false });
    disk = LoopDisk.make(scene.vault.base, 'disk', DISK_MIB);
    const at = ['--data-dir', join(disk.folder, 'data')];
    await edgestoreJson(['init', ...at, '--recovery-out', `${scene.vault.sheet} 2`]);
    // Larger than what scrub reads at once, so that its reads begin and end within pages.
    writeFileSync(join(scene.root, 'file'), pseudoRandom(6_000_000, 4));
    await edgestoreJson(['sync', scene.root, ...at]);
    const pack = largest(dataPacksBelow(disk.folder));
    const scrub = async () => (await runEdgestore(['scrub', '--all', ...at])).exitCode;
    for (const place of [1000, statSync(pack).size - 64]) {
      expect(await scrub()).toBe(0);
      disk.changeBelow(pack, place);
      expect(await scrub(), `byte ${place}`).not.toBe(0);
      // Back again: the next place is looked at alone.
      dropCaches();
      disk.changeBelow(pack, place);
      dropCaches();
    }
  },
  { needs },
);

faultTest(
  'a full disk: what was acknowledged stays, reading goes on, and a sync with free space again makes all well',
  async () => {
    scene = await OwnerAndHolders.make({ files: false });
    disk = LoopDisk.make(scene.vault.base, 'disk', DISK_MIB);
    const at = ['--data-dir', join(disk.folder, 'data')];
    await edgestoreJson(['init', ...at, '--recovery-out', `${scene.vault.sheet} 2`]);
    writeFileSync(join(scene.root, 'file'), pseudoRandom(500_000, 5));
    await edgestoreJson(['sync', scene.root, ...at]);
    for (const left of [0, 40 << 20]) {
      writeFileSync(join(scene.root, 'new'), pseudoRandom(1_000_000, 6 + left));
      const free = disk.fillUp(left);
      const full = await runEdgestore(['sync', scene.root, ...at]);
      expect([1, 15], full.stderr).toContain(full.exitCode);
      const target = join(scene.vault.base, `restored ${left}`);
      await edgestoreJson(['restore', 'latest', '--target', target, ...at]);
      expect(readFileSync(join(target, 'file'))).toEqual(readFileSync(join(scene.root, 'file')));
      free();
      await edgestoreJson(['sync', scene.root, ...at]);
      await edgestoreJson(['scrub', '--all', ...at]);
    }
  },
  { needs },
);

faultTest(
  'a disk that went read-only: an error that names it, and nothing is lost',
  async () => {
    scene = await OwnerAndHolders.make({ files: false });
    disk = LoopDisk.make(scene.vault.base, 'disk', DISK_MIB);
    const at = ['--data-dir', join(disk.folder, 'data')];
    await edgestoreJson(['init', ...at, '--recovery-out', `${scene.vault.sheet} 2`]);
    writeFileSync(join(scene.root, 'file'), pseudoRandom(500_000, 7));
    await edgestoreJson(['sync', scene.root, ...at]);
    disk.setReadOnly(true);
    writeFileSync(join(scene.root, 'file'), pseudoRandom(500_000, 8));
    const sync = await runEdgestore(['sync', scene.root, ...at]);
    expect(sync.exitCode).not.toBe(0);
    expect(sync.stderr).toContain(disk.folder);
    disk.setReadOnly(false);
    await edgestoreJson(['sync', scene.root, ...at]);
    await edgestoreJson(['scrub', '--all', ...at]);
  },
  { needs },
);

faultTest(
  'an unplugged archive is not an empty one: nothing is lost, nothing is stored twice, and plugged in again all is well',
  async () => {
    scene = await OwnerAndHolders.make({ files: false });
    disk = LoopDisk.make(scene.vault.base, 'archive', 64);
    addTierTo(disk.folder);
    writeFileSync(join(scene.root, 'only in the archive'), pseudoRandom(400_000, 9));
    await scene.mustSync('local');
    await scene.json(['tier', 'run', '--yes']);
    // A tier that is no full copy is a finding for itself.
    const before = await findings();
    disk.unplug();
    writeFileSync(join(scene.root, 'new'), 'while it was away\n');
    await scene.sync('local');
    const scrub = await scene.run(['scrub', '--all']);
    expect(scrub.exitCode, 'nothing may be called lost').not.toBe(7);
    expect((await scene.run(['status', '--check'])).exitCode).toBe(20);
    disk.plugIn();
    await scene.mustSync('local');
    await scene.everythingRestores('when the archive is there again');
    await scene.json(['scrub', '--all']);
    expect(await findings()).toEqual(before);
  },
  { needs },
);

async function findings(): Promise<string[]> {
  const { stdout } = await scene.run(['status', '--check']);
  return stdout.split('\n').filter((line) => line.startsWith('! '));
}

/** Everything is old at once, and moves to the archive. */
function addTierTo(folder: string): void {
  const place = join(scene.vault.dataDir, 'conf.d');
  mkdirSync(place, { recursive: true });
  writeFileSync(
    join(place, 'tier.toml'),
    `[stores.archive]\nurl = "file://${folder}"\n[tiering.default]\nhot = "0s"\nwarm = "0s"\ncold = "archive"\n`,
  );
}
