/** A store's address that is wrong, and an address behind which another store is: never the same as "not there any more". */
import { mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect } from 'vitest';
import type { SyncData } from '../crash/vault.ts';
import { faultTest } from './fault-test.ts';
import { type RunWithAct, runAndActAtClose } from './kit/at-call.ts';
import { filesBelow } from './kit/media.ts';
import { OwnerAndHolders } from './owner-and-holders.ts';

let scene: OwnerAndHolders;
afterEach(() => scene.remove());

/** Changes the address in the configuration; gives how to put it right again. */
function pointBucketTo(folder: string): () => void {
  const file =
    filesBelow(join(scene.vault.dataDir, 'conf.d')).find((path) => readFileSync(path, 'utf8').includes(scene.bucket)) ??
    '';
  const right = readFileSync(file, 'utf8');
  writeFileSync(file, right.replaceAll(`file://${scene.bucket}"`, `file://${folder}"`));
  return () => writeFileSync(file, right);
}

const tiering = '[tiering.default]\nhot = "0s"\nwarm = "0s"\ncold = "offsite"\n';

faultTest(
  'one run with a wrong address of the archive makes nothing lost: with the right one everything restores',
  async () => {
    scene = await OwnerAndHolders.make({ bucket: true, config: tiering });
    await scene.mustSync('s3');
    await scene.json(['tier', 'run', '--yes']);
    const elsewhere = join(scene.vault.base, 'elsewhere');
    mkdirSync(elsewhere);
    const putRight = pointBucketTo(elsewhere);
    for (const args of [
      ['scrub', '--all'],
      ['status', '--check'],
      ['tier', 'run', '--yes'],
      ['scrub', '--all', '--repair'],
    ]) {
      const run = await scene.run(args);
      expect(run.exitCode, `${args.join(' ')}: nothing may be called lost\n${run.stdout}`).not.toBe(7);
    }
    scene.vault.edit(30_000);
    const sync = await scene.sync('s3');
    // The store behind this address is not the one that has the copies.
    expect(sync.exitCode, sync.stdout).not.toBe(0);
    putRight();
    await scene.mustSync('s3');
    expect(scene.brokenBeliefs()).toEqual([]);
    await scene.everythingRestores('with the right address');
    expect((await scene.run(['status', '--check'])).exitCode).toBe(0);
  },
);

/** The bucket's disk is unmounted: an empty folder is in its place. Gives how to mount it again. */
function unmountBucket(): () => void {
  const away = `${scene.bucket} away`;
  renameSync(scene.bucket, away);
  mkdirSync(scene.bucket);
  return () => {
    rmSync(scene.bucket, { recursive: true });
    renameSync(away, scene.bucket);
  };
}

/**
 * Runs the command once for each time at which it reads the id of the bucket, and unmounts the bucket just then.
 * Answers how many of the runs failed: all but
 * the one that had looked for the last time.
 */
async function atEachLook(args: () => readonly string[], check: (run: RunWithAct) => void): Promise<number> {
  const file = filesBelow(scene.bucket).find((path) => path.endsWith('store.id')) ?? '';
  const exitCodes: (number | undefined)[] = [];
  for (let nth = 1; ; nth++) {
    let mount = (): void => {};
    const run = await runAndActAtClose(args(), { file, nth }, () => {
      mount = unmountBucket();
    });
    mount();
    if (!run.acted) break;
    exitCodes.push(run.exitCode);
    check(run);
  }
  expect(exitCodes.slice(0, -1).filter((code) => code === 0)).toEqual([]);
  return exitCodes.length - 1;
}

faultTest(
  'a bucket that is unmounted in the middle of a sync is not acknowledged, and has everything after the next one',
  async () => {
    scene = await OwnerAndHolders.make({ bucket: true });
    await scene.mustSync('s3');
    let changes = 0;
    const failed = await atEachLook(
      () => {
        scene.vault.edit(20_000 + changes++);
        return ['sync', scene.root, '--wait', 's3', '--timeout', '20s', '--json', ...scene.at];
      },
      ({ exitCode, stdout, stderr }) => {
        expect(`${stdout}${stderr}`).not.toMatch(/lost \d+ pack/);
        if (exitCode !== 0) return;
        scene.vault.acknowledge((JSON.parse(stdout) as { data: SyncData }).data.roots[0]!.snapshot);
        scene.acknowledged.push({ entry: scene.vault.journal.last!, level: 's3' });
        expect(scene.brokenBeliefs()).toEqual([]);
      },
    );
    // The first look, that behind the listing, and that behind a put, at least.
    expect(failed).toBeGreaterThanOrEqual(3);
    await scene.mustSync('s3');
    expect(scene.brokenBeliefs()).toEqual([]);
    await scene.lastComesFrom(`file://${scene.bucket}`, 'from the bucket alone');
  },
  { needs: ['strace'], timeout: 600_000 },
);

faultTest(
  'tier run drops nothing for copies in the empty folder of a bucket that was unmounted in the middle of it',
  async () => {
    scene = await OwnerAndHolders.make({
      config: `[stores.offsite]\nurl = "file://BUCKET"\n${tiering}`,
    });
    await scene.json(['tier', 'run', '--yes']);
    scene.vault.edit(20_000);
    await scene.mustSync('local');
    const failed = await atEachLook(
      () => ['tier', 'run', '--yes', '--json', ...scene.at],
      () => {},
    );
    expect(failed).toBeGreaterThanOrEqual(3);
    await scene.json(['scrub', '--all']);
    await scene.everythingRestores('after runs in which the bucket went away');
  },
  { needs: ['strace'], timeout: 600_000 },
);

faultTest('a storage class that does not exist, or from which nothing can be read at once, is refused', async () => {
  scene = await OwnerAndHolders.make({ files: false });
  const file = join(scene.vault.base, 'edgestore.toml');
  for (const storageClass of ['GLACEIR', 'GLACIER', 'DEEP_ARCHIVE']) {
    writeFileSync(file, `[stores.cold]\nurl = "s3://bucket/prefix"\nstorage_class = "${storageClass}"\n`);
    const run = await scene.run(['config', 'validate', '--config', file]);
    expect([run.exitCode, `${run.stdout}${run.stderr}`]).toEqual([
      2,
      expect.stringContaining('stores.cold.storage_class'),
    ]);
  }
});

faultTest('a root whose disk is not mounted is a finding, and its last snapshot stays', async () => {
  scene = await OwnerAndHolders.make();
  const away = `${scene.root} away`;
  renameSync(scene.root, away);
  mkdirSync(scene.root);
  // Refused by the guard: it was all there before.
  expect((await scene.run(['sync', scene.root])).exitCode).toBe(21);
  const status = await scene.run(['status', '--check']);
  expect(status.exitCode, status.stdout).toBe(20);
  expect(status.stdout).toMatch(/is empty, and its last snapshot has \d+ files/);
  rmdirSync(scene.root);
  renameSync(away, scene.root);
  expect((await scene.run(['status', '--check'])).exitCode).toBe(0);
  await scene.everythingRestores('after the disk of the root was away');
});
