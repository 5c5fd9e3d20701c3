/**
 * What a start takes away was never acknowledged, or is read good elsewhere first. An index knows which is which; where
 * it is gone too, whatever looks like the trace of a crash may be damage of something acknowledged.
 */
import { existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect } from 'vitest';
import { restoresExactly } from '../crash/journal.ts';
import { runAndKill } from '../crash/kill.ts';
import { toldBy } from '../crash/vault.ts';
import { chainFilesBelow, entriesIn } from '../support/chain-files.ts';
import { faultTest } from './fault-test.ts';
import { filesBelow, flipByte, packsBelow, zeroRange } from './kit/media.ts';
import { OwnerAndHolders } from './owner-and-holders.ts';

let scene: OwnerAndHolders;
afterEach(() => scene.remove());

const ADD = 2;
/** Behind magic, version, two words of features, vault, agent, incarnation, seq and previous link. */
const KIND_AT = 8 + 2 + 4 + 4 + 16 + 16 + 4 + 8 + 32;

/** The owner's, at the owner and at a holder. */
function longestChainOf(dataDir: string): string {
  return chainFilesBelow(join(dataDir, 'chains')).sort((a, b) => statSync(b).size - statSync(a).size)[0]!;
}

/**
 * Zeros in place of the second entry of holds, as a block that never arrived; without the index. Answers the chain
 * file.
 */
function zeroAnEntryOf(dataDir: string): string {
  const file = longestChainOf(dataDir);
  const bytes = readFileSync(file);
  const [, second] = entriesIn(file).filter(({ at }) => bytes[at + KIND_AT] === ADD);
  if (second === undefined) throw new Error(`${file} has no second entry of holds`);
  zeroRange(file, second.at - 4, second.length + 4);
  for (const path of filesBelow(dataDir).filter((name) => /index\.sqlite[^/]*$/.test(name))) rmSync(path);
  return file;
}

faultTest('zeros inside the own chain, without the index, take no snapshot along that lies behind them', async () => {
  scene = await OwnerAndHolders.make({ bucket: true });
  for (let i = 0; i < 2; i++) {
    scene.vault.edit(50_000);
    await scene.mustSync('s3');
  }
  const file = zeroAnEntryOf(scene.vault.dataDir);
  const { size } = statSync(file);
  const status = await scene.run(['status', '--check']);
  expect(status.exitCode, status.stdout).toBe(20);
  expect(status.stdout).toMatch(/is damaged from byte/);
  expect(statSync(file).size).toBe(size);
  await scene.everythingRestores('with zeros in the chain');
  await scene.run(['scrub', '--all', '--repair']);
  scene.vault.edit(50_000);
  await scene.mustSync('s3');
  expect((await scene.run(['status', '--check'])).exitCode).toBe(0);
  await scene.everythingRestores('after the repair');
});

faultTest(
  'zeros inside the chain at the only holder that is left, without its index: everything comes back',
  async () => {
    scene = await OwnerAndHolders.make({ holders: 1 });
    const [holder] = scene.holders;
    if (holder === undefined) throw new Error('no holder');
    for (let i = 0; i < 2; i++) {
      scene.vault.edit(50_000);
      await scene.mustSync('peers=1');
    }
    await holder.stop();
    zeroAnEntryOf(holder.dataDir);
    expect((await scene.run(['status', '--check'], holder.at)).exitCode).toBe(20);
    await holder.start();
    await scene.lastComesFrom(`https://127.0.0.1:${holder.port}`, 'from a holder with zeros in the chain');
  },
);

const RECORD = 1;
const HEAD_BYTES = 203;
for (const [what, kind, at] of [
  ['a record', RECORD, HEAD_BYTES + 20],
  ['the header of an entry of holds', ADD, 60],
] as const) {
  faultTest(
    `one changed byte in ${what} at the only holder that is left: everything behind it comes back`,
    async () => {
      scene = await OwnerAndHolders.make({ holders: 1 });
      const [holder] = scene.holders;
      if (holder === undefined) throw new Error('no holder');
      for (let i = 0; i < 2; i++) {
        scene.vault.edit(50_000);
        await scene.mustSync('peers=1');
      }
      await holder.stop();
      const file = longestChainOf(holder.dataDir);
      const bytes = readFileSync(file);
      const entries = entriesIn(file).filter((one) => bytes[one.at + KIND_AT] === kind);
      // Not the last one: it is the snapshot that has to come back.
      flipByte(file, entries.at(kind === RECORD ? -2 : -1)!.at + at);
      await holder.start();
      await scene.lastComesFrom(`https://127.0.0.1:${holder.port}`, `from a holder with a changed byte in ${what}`);
      expect((await scene.run(['status', '--check'], holder.at)).exitCode).toBe(20);
    },
  );
}

faultTest(
  'one changed byte in the chain in the bucket is found by scrub, and what lies behind it comes back',
  async () => {
    scene = await OwnerAndHolders.make({ bucket: true });
    for (let i = 0; i < 2; i++) {
      scene.vault.edit(50_000);
      await scene.mustSync('s3');
    }
    const segments = filesBelow(scene.bucket, '.seg');
    // Not the last one: it has the snapshot that has to come back.
    flipByte(segments.at(-2)!, 300);
    await scene.lastComesFrom(`file://${scene.bucket}`, 'from a bucket with a damaged segment');
    const scrub = await scene.run(['scrub', '--all']);
    expect(scrub.exitCode, scrub.stdout).toBe(20);
    expect(scrub.stdout).toMatch(/segment .* is damaged/);
    expect((await scene.run(['scrub', '--all', '--repair'])).exitCode).toBe(0);
    expect((await scene.run(['scrub', '--all'])).exitCode).toBe(0);
    await scene.lastComesFrom(`file://${scene.bucket}`, 'from the repaired bucket');
  },
);

faultTest('packs that a killed merge was about to remove stay, when the pack that replaced them is gone', async () => {
  scene = await OwnerAndHolders.make();
  let before: ReadonlySet<string> = new Set();
  let isKilled = false;
  // When small packs are merged is the program's own affair; one of the next syncs does it.
  for (let turn = 1; turn <= 15 && !isKilled; turn++) {
    scene.vault.edit(20_000);
    before = new Set(packsBelow(scene.vault.dataDir));
    const args = ['sync', scene.root, '--json', ...scene.at];
    const run = await runAndKill({ args, folders: [], kill: { failpoint: { name: 'index.packs-swapped', nth: 1 } } });
    isKilled = run.killed;
    if (!isKilled) scene.vault.acknowledge(toldBy(run));
  }
  expect(isKilled, 'no merge took place').toBe(true);
  const made = packsBelow(scene.vault.dataDir).filter((path) => !before.has(path));
  const newest = made.sort((a, b) => statSync(a).mtimeMs - statSync(b).mtimeMs).at(-1)!;
  const kept = join(scene.vault.base, 'merged');
  renameSync(newest, kept);
  await scene.run(['status']);
  for (const path of before) expect(existsSync(path), path).toBe(true);
  for (const entry of scene.vault.journal.entries) await restoresExactly(entry, scene.at, 'without the merged pack');
  // With it the start has nothing to keep.
  writeFileSync(newest, readFileSync(kept));
  expect((await scene.run(['scrub', '--all'])).exitCode).toBe(0);
  await scene.vault.lastRestores('with the merged pack again');
});
