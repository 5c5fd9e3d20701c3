/**
 * A holder that joins late takes the parts of a hold checkpoint in the place of the bodies before it (docs/chain.md 8):
 * with real agents, killed in between, put back, and with parts that are damaged at the owner.
 */
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { restoresExactly } from '../crash/journal.ts';
import { edgestoreJson, runEdgestore } from '../support/edgestore-process.ts';
import { pseudoRandom } from '../support/hostile-tree.ts';
import { checkBeliefs, whyNoBeliefs } from './belief/check-beliefs.ts';
import { filesBelow, flipByte, Image } from './kit/media.ts';
import { type Holder, OwnerAndHolders } from './owner-and-holders.ts';

const LONG_MS = 300_000;
const FILES = 300;

let scene: OwnerAndHolders;
let first: Holder;
let late: Holder;

/**
 * The late holder joined the vault and knows nothing of the owner's chain. The owner's newest checkpoint is of more
 * than the first sync.
 */
beforeEach(async () => {
  scene = await OwnerAndHolders.make({ holders: 2, config: '[limits]\ncheckpoint = "1KiB"\n' });
  [first, late] = scene.holders as [Holder, Holder];
  await late.stop();
  await scene.mustSync('peers=1');
  for (let i = 0; i < FILES; i++) writeFileSync(join(scene.root, `file ${i}`), pseudoRandom(400 + i, 9000 + i));
  await scene.mustSync('peers=1');
  scene.vault.edit();
  await scene.mustSync('peers=1');
}, LONG_MS);

afterEach(() => scene.remove());

const ownerOf = (holder: Holder): string => {
  const [agent = ''] = readdirSync(join(holder.dataDir, 'chains')).filter(
    (name) => /^[0-9a-f]{32}$/.test(name) && hasParts(holder.dataDir, name),
  );
  return agent;
};
const hasParts = (dataDir: string, agent: string): boolean =>
  readdirSync(join(dataDir, 'chains', agent)).includes('parts');
const partsOf = (dataDir: string): string[] => filesBelow(join(dataDir, 'chains'), '.part');

/** The as-of seq of the parts that the holder's shards rest on: 0 where it has all bodies. */
function baseSeqOf({ dataDir }: Holder): number {
  const db = new Database(join(dataDir, 'index.sqlite'), { readonly: true });
  try {
    return db.prepare('SELECT MAX(base_seq) FROM shards').pluck().get() as number;
  } finally {
    db.close();
  }
}

/**
 * All that was acknowledged restores at the late holder from its own disk, with the owner's and the other holder's
 * gone.
 */
async function lateHasEverything(): Promise<void> {
  await late.stop();
  rmSync(scene.vault.dataDir, { recursive: true });
  await first.stop();
  const scrub = await runEdgestore(['scrub', '--all', ...late.at]);
  expect(scrub.exitCode, scrub.stdout + scrub.stderr).toBe(0);
  const who = ['--agent', scene.vault.ownerName, '--from', 'local'];
  for (const { entry } of scene.acknowledged) await restoresExactly(entry, [...late.at, ...who], 'at the late holder');
  const { snapshots } = await edgestoreJson<{ snapshots: readonly { whole?: boolean }[] }>([
    ...['snapshot', 'list', '--agent', scene.vault.ownerName],
    ...late.at,
  ]);
  expect(snapshots.length).toBeGreaterThanOrEqual(scene.acknowledged.length);
}

test('it gets parts and the bodies behind them, is whole, and alone brings everything back', {
  timeout: LONG_MS,
}, async () => {
  await late.start();
  await scene.mustSync('peers=2');
  expect(baseSeqOf(late)).toBeGreaterThan(0);
  expect(baseSeqOf(late)).toBeGreaterThan(baseSeqOf(first));
  expect(partsOf(late.dataDir).length).toBeGreaterThan(100);
  expect(ownerOf(late)).not.toBe('');
  scene.vault.edit();
  await scene.mustSync('peers=2');
  expect((await scene.run(['status', '--check'])).exitCode).toBe(0);
  expect((await runEdgestore(['status', '--check', ...late.at])).exitCode).toBe(0);
  expect(scene.brokenBeliefs()).toEqual([]);

  // The machine is gone; another one takes its place from the late holder alone.
  await first.stop();
  rmSync(first.dataDir, { recursive: true });
  const keys = scene.vault.dataDir;
  const recovered = join(scene.vault.base, 'recovered');
  await edgestoreJson([
    ...['recover', '--from', `https://127.0.0.1:${late.port}`, '--recovery-file', scene.vault.sheet],
    ...['--data-dir', recovered, '--agent', scene.vault.ownerName],
  ]);
  for (const { entry } of scene.acknowledged) await restoresExactly(entry, ['--data-dir', recovered], 'recovered');
  if (whyNoBeliefs() === undefined) {
    const acknowledged = scene.acknowledged.map(({ entry }) => ({
      snapshot: entry.snapshot,
      level: 'peers=1' as const,
    }));
    expect(checkBeliefs({ keys, holders: [late.dataDir], acknowledged }).problems).toEqual([]);
  }
  const again = await runEdgestore(['sync', scene.root, '--data-dir', recovered, '--json']);
  expect(again.exitCode, again.stdout + again.stderr).toBe(0);
  await lateHasEverything();
});

test.each(['parts.taken:7', 'join.part-applied:40', 'join.switched'])(
  'killed at %s, it goes on when it runs again',
  { timeout: LONG_MS },
  async (failpoint) => {
    await late.start({ EDGESTORE_FAILPOINT: failpoint });
    const broken = await scene.sync('peers=2');
    expect(broken.exitCode).not.toBe(0);
    expect(late.agent?.wasKilled).toBe(true);
    await late.stop();
    await late.start();
    await scene.mustSync('peers=2');
    expect(baseSeqOf(late)).toBeGreaterThan(0);
    expect(scene.brokenBeliefs()).toEqual([]);
    await lateHasEverything();
  },
);

test('a part that is damaged at the owner is not sent: the bodies are', { timeout: LONG_MS }, async () => {
  for (const part of partsOf(scene.vault.dataDir).slice(0, 3)) flipByte(part, 40);
  await late.start();
  await scene.mustSync('peers=2');
  expect(baseSeqOf(late)).toBe(0);
  expect(scene.brokenBeliefs()).toEqual([]);
  await lateHasEverything();
});

test('put back to an image from before and from after it joined', { timeout: LONG_MS }, async () => {
  const before = new Image(late.dataDir);
  await late.start();
  await scene.mustSync('peers=2');
  await late.stop();
  const after = new Image(late.dataDir);
  await late.start();
  scene.vault.edit();
  await scene.mustSync('peers=2');
  for (const image of [after, before]) {
    await late.stop();
    image.putBack();
    image.remove();
    await late.start();
    scene.vault.edit();
    await scene.mustSync('peers=2');
    expect(scene.brokenBeliefs()).toEqual([]);
  }
  await lateHasEverything();
});

test('its index is lost: the parts and bodies that are here make it again', { timeout: LONG_MS }, async () => {
  await late.start();
  await scene.mustSync('peers=2');
  await late.stop();
  for (const suffix of ['', '-wal', '-shm']) rmSync(join(late.dataDir, `index.sqlite${suffix}`), { force: true });
  await late.start();
  expect(baseSeqOf(late)).toBeGreaterThan(0);
  await scene.mustSync('peers=2');
  await lateHasEverything();
});
