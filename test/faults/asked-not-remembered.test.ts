/**
 * An acknowledgement is asked for, not remembered: a holder or a bucket that lost something says so, the owner sends it again, and nothing counts as
 * safe until then.
 */
import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect } from 'vitest';
import { AgentProcess } from '../crash/agent-process.ts';
import { waitUntil } from '../support/edgestore-process.ts';
import { pseudoRandom } from '../support/hostile-tree.ts';
import { framesOf } from '../support/pack-frames.ts';
import { faultTest } from './fault-test.ts';
import { cutShort, dataPacksBelow, filesBelow, flipByte, Image, packsBelow } from './kit/media.ts';
import { type Holder, OwnerAndHolders } from './owner-and-holders.ts';

let scene: OwnerAndHolders;
afterEach(() => scene.remove());

const largest = (paths: readonly string[]): string =>
  [...paths].sort((a, b) => statSync(b).size - statSync(a).size)[0] ?? '';
const removePacks = (paths: readonly string[]): void => {
  for (const path of paths) rmSync(path);
};
const checkOf = async (at: readonly string[]): Promise<number | undefined> =>
  (await scene.run(['status', '--check'], at)).exitCode;
const changeOneFile = (turn: number): void => writeFileSync(join(scene.root, 'small'), `changed ${turn}\n`);

async function withHolder(config = ''): Promise<Holder> {
  scene = await OwnerAndHolders.make({ holders: 1, config });
  const [holder] = scene.holders;
  if (holder === undefined) throw new Error('no holder');
  await scene.mustSync('sites=1');
  return holder;
}

/** The next sync either says that it is not safe, or makes it safe: both are true, only a false acknowledgement is not. */
async function nextSyncIsHonest(): Promise<void> {
  changeOneFile(1);
  const sync = await scene.sync('sites=1');
  expect([0, 5], sync.stderr).toContain(sync.exitCode);
  expect(scene.brokenBeliefs()).toEqual([]);
}

describe('a holder', () => {
  for (const [what, lose] of [
    ['its largest pack', (holder: Holder) => removePacks([largest(packsBelow(holder.dataDir))])],
    ['all of its packs', (holder: Holder) => removePacks(packsBelow(holder.dataDir))],
  ] as const) {
    faultTest(`a holder that lost ${what} gets it again before anything is safe there`, async () => {
      const holder = await withHolder();
      await holder.stop();
      lose(holder);
      await holder.start();
      expect(await checkOf(holder.at), 'at the holder').toBe(20);
      // Whatever was acknowledged before was true then; from here on it counts only if it is true again.
      scene.acknowledged.length = 0;
      await nextSyncIsHonest();
      await scene.mustSync('sites=1');
      expect(scene.brokenBeliefs()).toEqual([]);
      await scene.lastComesFrom(`https://127.0.0.1:${holder.port}`, 'from the holder');
      await waitUntil('both sides are well', 30_000, async () =>
        (await checkOf(holder.at)) === 0 && (await checkOf(scene.at)) === 0 ? true : undefined,
      );
    });
  }

  faultTest('the owner says that a holder lost something from the moment at which it can know', async () => {
    const holder = await withHolder();
    await holder.stop();
    removePacks([largest(packsBelow(holder.dataDir))]);
    await holder.start();
    await waitUntil('the owner has asked the holder', 30_000, async () =>
      (await checkOf(scene.at)) === 20 ? true : undefined,
    );
  });

  faultTest(
    'a holder whose data dir was put back to an older copy gets what it lacks before anything is safe there',
    async () => {
      const holder = await withHolder();
      await holder.stop();
      const image = new Image(holder.dataDir);
      try {
        await holder.start();
        scene.vault.edit();
        await scene.mustSync('sites=1');
        await holder.stop();
        image.putBack();
        await holder.start();
        scene.acknowledged.length = 0;
        await nextSyncIsHonest();
        await scene.mustSync('sites=1');
        expect(scene.brokenBeliefs()).toEqual([]);
        await scene.lastComesFrom(`https://127.0.0.1:${holder.port}`, 'from the holder that was put back');
      } finally {
        image.remove();
      }
    },
  );

  for (const [what, place] of [
    ["its copy of the owner's log", 0.95],
    ["the owner's holds", 0.5],
  ] as const) {
    faultTest(
      `one changed byte in ${what} at a holder is said there, nothing is safe there, and a repair mends it`,
      async () => {
        const holder = await withHolder();
        const own = readdirSync(join(scene.vault.dataDir, 'chains')).find((name) => /^[0-9a-f]{32}$/.test(name)) ?? '';
        await holder.stop();
        const file = largest(filesBelow(join(holder.dataDir, 'chains', own)).filter((path) => path.endsWith('.chain')));
        flipByte(file, Math.floor(statSync(file).size * place));
        await holder.start();
        const scrub = await scene.run(['scrub', '--all'], holder.at);
        expect([7, 20], scrub.stdout).toContain(scrub.exitCode);
        expect(await checkOf(holder.at)).toBe(20);
        scene.acknowledged.length = 0;
        await nextSyncIsHonest();
        const agent = await AgentProcess.start(scene.at);
        try {
          const repair = await scene.run(['scrub', '--all', '--repair'], holder.at);
          expect([0, 20], `${repair.stdout}${repair.stderr}`).toContain(repair.exitCode);
        } finally {
          await agent.kill();
        }
        await scene.mustSync('sites=1');
        expect(scene.brokenBeliefs()).toEqual([]);
        await scene.lastComesFrom(`https://127.0.0.1:${holder.port}`, 'from the mended holder');
      },
    );
  }

  faultTest('files whose every copy is gone are read again, although they look unchanged', async () => {
    // What is older than two seconds lies at the holder only.
    const holder = await withHolder('[tiering.default]\nhot = "1s"\nwarm = "2s"\n');
    await new Promise((resolve) => setTimeout(resolve, 2500));
    await scene.json(['tier', 'run', '--yes']);
    await holder.stop();
    removePacks(packsBelow(holder.dataDir));
    await holder.start();
    scene.acknowledged.length = 0;
    changeOneFile(3);
    await scene.sync('sites=1');
    await scene.mustSync('sites=1');
    expect(scene.brokenBeliefs({ localIsIn: ['owner', 'holders'] })).toEqual([]);
    await scene.everythingRestores('after every copy was gone');
  });
});

describe('a bucket', () => {
  const withBucket = async (): Promise<void> => {
    scene = await OwnerAndHolders.make({ bucket: true });
    scene.vault.edit();
    await scene.mustSync('s3');
  };

  faultTest('a pack that was deleted in the bucket is put there again before anything is safe there', async () => {
    await withBucket();
    rmSync(largest(dataPacksBelow(scene.bucket)));
    scene.acknowledged.length = 0;
    changeOneFile(4);
    const sync = await scene.sync('s3');
    expect([0, 5], sync.stderr).toContain(sync.exitCode);
    expect(scene.brokenBeliefs()).toEqual([]);
    await scene.mustSync('s3');
    expect(scene.brokenBeliefs()).toEqual([]);
    await scene.lastComesFrom(`file://${scene.bucket}`, 'from the bucket alone');
  });

  faultTest(
    'an empty folder in place of the bucket is not a bucket: nothing is safe there and nothing is forgotten',
    async () => {
      await withBucket();
      const image = new Image(scene.bucket);
      try {
        removeContents(scene.bucket);
        changeOneFile(5);
        const before = scene.acknowledged.length;
        const sync = await scene.sync('s3');
        expect(sync.exitCode, sync.stdout).not.toBe(0);
        expect(await checkOf(scene.at)).toBe(20);
        expect(scene.acknowledged.length).toBe(before);
        image.putBack();
        await scene.mustSync('s3');
        expect(scene.brokenBeliefs()).toEqual([]);
      } finally {
        image.remove();
      }
    },
  );

  faultTest('a changed byte in the bucket is found by scrub and put right from here', async () => {
    await withBucket();
    const pack = largest(dataPacksBelow(scene.bucket));
    const frames = framesOf(pack);
    // Each field of the clear header (magic, length, key, class, zeros, id) and the sealed bytes, each in a frame of
    // its own.
    const places = [0, 4, 8, 12, 13, 16, 47, 60].map((field, at) => ({ frame: frames[at]!, field }));
    // 3 makes the class of data that of trees: a value that is allowed.
    for (const { frame, field } of places) flipByte(pack, frame + field, field === 12 ? 3 : 0x40);
    const { findings } = await scene.json<{ findings: { store: string; repaired: boolean }[] }>(
      ['scrub', '--all', '--repair'],
      [0],
    );
    const inBucket = findings.filter(({ store }) => store === 'offsite');
    expect(inBucket.map(({ repaired }) => repaired)).toEqual(places.map(() => true));
    await scene.json(['scrub', '--all']);
    expect(await checkOf(scene.at)).toBe(0);
    await scene.lastComesFrom(`file://${scene.bucket}`, 'mended by the scrub alone');
    scene.acknowledged.length = 0;
    changeOneFile(6);
    await scene.mustSync('s3');
    expect(scene.brokenBeliefs()).toEqual([]);
    await scene.lastComesFrom(`file://${scene.bucket}`, 'from the bucket alone');
  });
});

faultTest(
  'a pack in the bucket that lost its end or its index is put again by scrub --all --repair, and warns of nothing that anyone needs',
  async () => {
    scene = await OwnerAndHolders.make({ bucket: true });
    await scene.mustSync('s3');
    const damages = {
      'a changed byte of its index': (pack: string) => flipByte(pack, statSync(pack).size - 20),
      'a lost end': (pack: string) => cutShort(pack, 5_000),
    };
    for (const [what, damage] of Object.entries(damages)) {
      damage(largest(dataPacksBelow(scene.bucket)));
      await scene.json(['scrub', '--all'], [20]);
      const { findings } = await scene.json<{ findings: { repaired: boolean }[] }>(['scrub', '--all', '--repair']);
      expect(findings.length, what).toBeGreaterThan(0);
      expect(
        findings.every(({ repaired }) => repaired),
        what,
      ).toBe(true);
      await scene.lastComesFrom(`file://${scene.bucket}`, what);
      const again = await scene.run(['scrub', '--all', '--json']);
      expect(again.exitCode, what).toBe(0);
      const { warnings } = JSON.parse(again.stdout) as { warnings: { code: string; message: string }[] };
      for (const { message } of warnings) expect(message, what).toMatch(/Nothing depends on it/);
      expect(await checkOf(scene.at), what).toBe(0);
    }
    // What is left over: one chunk of it was put into another pack, and then the rest.
    const pack = largest(dataPacksBelow(scene.bucket));
    flipByte(pack, framesOf(pack)[0]! + 60);
    await scene.json(['scrub', '--all', '--repair']);
    cutShort(pack, 5_000);
    await scene.json(['scrub', '--all', '--repair']);
    const left = await scene.run(['scrub', '--all', '--json']);
    expect(left.exitCode).toBe(0);
    expect(left.stdout).toMatch(/Nothing depends on it/);
    const sync = await scene.run(['sync', scene.root, '--wait', 's3', '--timeout', '30s', '--json']);
    expect((JSON.parse(sync.stdout) as { warnings: unknown[] }).warnings).toEqual([]);
  },
);

faultTest(
  'chunks of a cold tier that are damaged there come back here from a holder, and are moved again',
  async () => {
    const tiering = '[tiering.default]\nhot = "0s"\nwarm = "0s"\ncold = "offsite"\n';
    scene = await OwnerAndHolders.make({ holders: 1, config: `[stores.offsite]\nurl = "file://BUCKET"\n${tiering}` });
    await scene.mustSync('sites=1');
    await scene.json(['tier', 'run', '--yes'], [0, 5]);
    const pack = largest(dataPacksBelow(scene.bucket));
    flipByte(pack, framesOf(pack)[0]! + 60);
    await scene.json(['scrub', '--all'], [20]);
    await scene.json(['scrub', '--all', '--repair']);
    await scene.json(['scrub', '--all']);
    await scene.json(['tier', 'run', '--yes'], [0, 5]);
    await scene.json(['scrub', '--all']);
    await scene.everythingRestores('after the repair');
  },
);

describe('a tier policy', () => {
  faultTest('tier run drops nothing here when the archive lost what it was said to have', async () => {
    const tiering = '[tiering.default]\nhot = "0s"\nwarm = "0s"\ncold = "offsite"\n';
    scene = await OwnerAndHolders.make({ bucket: true, config: tiering });
    writeFileSync(join(scene.root, 'only here'), pseudoRandom(200_000, 9));
    await scene.mustSync('s3');
    rmSync(largest(dataPacksBelow(scene.bucket)));
    await scene.run(['tier', 'run', '--yes']);
    scene.acknowledged.splice(
      0,
      scene.acknowledged.length,
      ...scene.acknowledged.map((one) => ({ ...one, level: 'local' as const })),
    );
    expect(scene.brokenBeliefs()).toEqual([]);
    await scene.everythingRestores('after tier run');
  });
});

function removeContents(folder: string): void {
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
}
