/**
 * A chunk that is in no store any more: nothing is given up while one store cannot be asked, and afterwards holders and
 * buckets go on without it.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect } from 'vitest';
import { restoresExactly } from '../crash/journal.ts';
import { edgestoreJson } from '../support/edgestore-process.ts';
import { pseudoRandom } from '../support/hostile-tree.ts';
import { faultTest } from './fault-test.ts';
import { OwnerAndHolders } from './owner-and-holders.ts';

interface Scrubbed {
  readonly given_up: {
    readonly chunks: number;
    readonly snapshots: readonly { readonly id: string }[];
    readonly waits_for: readonly string[];
  };
}

let scene: OwnerAndHolders;
afterEach(() => scene.remove());

/**
 * Packs with the content of files, below a data dir or a bucket: their eleventh byte says so (docs/formats/pack.md).
 */
function dataPacks(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.pack') && readFileSync(join(folder, name))[10] === 1)
    .map((name) => join(folder, name));
}

faultTest(
  'a chunk lost at the owner, a holder and a bucket is given up only when all of them answered, and later snapshots count at all of them',
  async () => {
    scene = await OwnerAndHolders.make({ holders: 1, bucket: true });
    const [holder] = scene.holders as [(typeof scene.holders)[number]];
    await scene.mustSync('sites=2');
    const places = [scene.vault.dataDir, holder.dataDir, scene.bucket];
    const before = new Set(places.flatMap(dataPacks));
    const only = join(scene.root, 'only in one snapshot');
    writeFileSync(only, pseudoRandom(50_000, 5));
    const synced = await scene.json<{ roots: { snapshot: string }[] }>([
      'sync',
      scene.root,
      '--wait',
      'sites=2',
      '--timeout',
      '60s',
    ]);
    const lost = synced.roots[0]!.snapshot;
    rmSync(only);
    await scene.mustSync('sites=2');
    await holder.stop();
    const gone = places.map((place) => dataPacks(place).filter((pack) => !before.has(pack)));
    expect(gone.map(({ length }) => length > 0)).toEqual([true, true, true]);
    for (const pack of gone.flat()) rmSync(pack);
    const repair = async (...exits: readonly number[]) =>
      (await scene.json<Scrubbed>(['scrub', '--all', '--repair'], exits)).given_up;
    const damaged = async (): Promise<string[]> =>
      (await scene.json<{ snapshots: { id: string; damaged: boolean }[] }>(['snapshot', 'list'])).snapshots
        .filter((one) => one.damaged)
        .map(({ id }) => id);

    // The holder is off.
    expect(await repair(0, 3, 7, 20)).toMatchObject({ chunks: 0, snapshots: [] });
    expect(await damaged()).toEqual([]);
    await holder.start();
    // The bucket is unplugged, and another folder lies in its place.
    renameSync(scene.bucket, `${scene.bucket}.unplugged`);
    mkdirSync(scene.bucket);
    const unplugged = await repair(3, 7, 20);
    expect(unplugged).toMatchObject({ chunks: 0, snapshots: [] });
    expect(unplugged.waits_for.join()).toContain(scene.bucket);
    expect(await damaged()).toEqual([]);
    rmSync(scene.bucket, { recursive: true });
    renameSync(`${scene.bucket}.unplugged`, scene.bucket);

    // The holder says what it lacks of each snapshot, and afterwards lacks nothing.
    const lacks = async (): Promise<(number | null)[]> =>
      (
        await edgestoreJson<{ snapshots: { id: string; lacks: number | null }[] }>([
          ...['snapshot', 'list', '--agent', scene.vault.ownerName, ...holder.at],
        ])
      ).snapshots.map((one) => one.lacks);
    expect(Math.max(...(await lacks()).map((one) => one ?? -1))).toBeGreaterThan(0);
    scene.vault.keep('before');
    const given = await repair(7);
    expect(given).toMatchObject({ chunks: 1, waits_for: [] });
    expect(given.snapshots.map(({ id }) => id)).toEqual([lost]);
    expect(await damaged()).toEqual([lost]);
    scene.vault.edit(40_000);
    await scene.mustSync('sites=2');
    const { targets } = await scene.json<{ targets: { name: string; lacks: object | null }[] }>(['status']);
    expect(targets.find(({ name }) => name === 'holder-1')?.lacks).toEqual({ wanted: 0, lost: 0, unreadable: 0 });
    expect(new Set(await lacks())).toEqual(new Set([0]));
    expect(scene.brokenBeliefs()).toEqual([]);
    expect(await repair(0)).toMatchObject({ chunks: 0, waits_for: [] });
    // A machine that has nothing else learns the mark from the chain, names the gap, and has everything else.
    for (const [at, from] of [`file://${scene.bucket}`, `https://127.0.0.1:${holder.port}`].entries()) {
      const recovered = join(scene.vault.base, `reader ${at}`);
      const who = ['--agent', scene.vault.ownerName];
      const { gaps } = await edgestoreJson<{ gaps: { snapshot: string }[] }>(
        [
          ...['recover', '--from', from, '--recovery-file', scene.vault.sheet, '--read-only'],
          ...[...who, '--data-dir', recovered],
        ],
        { exitCodes: [3] },
      );
      expect(gaps.map(({ snapshot }) => snapshot)).toEqual([lost]);
      const listed = await edgestoreJson<{ snapshots: { id: string; damaged: boolean }[] }>([
        ...['snapshot', 'list', ...who, '--data-dir', recovered],
      ]);
      expect(listed.snapshots.filter((one) => one.damaged).map(({ id }) => id)).toEqual([lost]);
      await restoresExactly(scene.vault.journal.last!, ['--data-dir', recovered, ...who], `from ${from} alone`);
    }

    // An image of the data dir from before the giving up: the stores prove it, and it neither sends nor gives up.
    scene.vault.backTo('before');
    expect((await scene.run(['sync', scene.root, '--wait', 'sites=2', '--timeout', '20s'])).exitCode).toBe(9);
    const image = await repair(3, 7, 20);
    expect(image).toMatchObject({ chunks: 0, snapshots: [] });
    expect(image.waits_for.join()).toMatch(/put back or copied/);
  },
  { timeout: 900_000 },
);
