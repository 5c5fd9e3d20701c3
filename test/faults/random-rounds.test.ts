/**
 * SIGKILL and media faults by chance, round after round: 50 in the normal run (fewer where two minutes are not enough), or as many as
 * EDGESTORE_FAULT_ROUNDS says. The oracle is outside: the test keeps what was acknowledged, and the belief checker reads the stores. One store is
 * broken at a time, since no more copies are promised.
 */
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { runAndKill } from '../crash/kill.ts';
import { pseudoRandom } from '../support/hostile-tree.ts';
import { faultTest } from './fault-test.ts';
import { cutShort, filesBelow, flipByte, packsBelow, zeroRange } from './kit/media.ts';
import { OwnerAndHolders } from './owner-and-holders.ts';
import { MS_OF_ROUNDS, ROUNDS, SEED, seededRandom } from './rounds.ts';

const random = seededRandom(SEED);
const MS_A_ROUND = 20_000;
/** Of so many rounds one has a restore through the program too. */
const RESTORED_EVERY = 10;
/** A fault is always followed by a look at all beliefs; of the other rounds so many have one, since each costs seconds. */
const LOOKED_AT_EVERY = 5;
const FEW_FILES = 8;

let scene: OwnerAndHolders;
const done = new Map<string, number>();
beforeAll(async () => {
  scene = await OwnerAndHolders.make({ bucket: true, files: false });
  for (let i = 0; i < FEW_FILES; i++) {
    mkdirSync(join(scene.root, `folder ${i % 4}`), { recursive: true });
    writeFileSync(join(scene.root, `folder ${i % 4}`, `file ${i}`), pseudoRandom(200 + i * 997, i + 1));
  }
  await scene.mustSync('s3');
});
afterAll(async () => {
  console.log(`random rounds: ${[...done].map(([what, times]) => `${what} ${times}`).join(', ')}; seed ${SEED}`);
  await scene.remove();
});

function count(what: string): void {
  done.set(what, (done.get(what) ?? 0) + 1);
}

function oneOf<T>(list: readonly T[]): T {
  return list[Math.floor(random() * list.length)] as T;
}

const FAULTS: Readonly<Record<string, () => void>> = {
  'a changed byte in a pack': () =>
    inPack((pack, size) => flipByte(pack, Math.floor(random() * size), 1 << Math.floor(random() * 8))),
  'a pack cut short': () => inPack((pack, size) => cutShort(pack, 1 + Math.floor(random() * (size - 1)))),
  'zeros in a pack': () => inPack((pack, size) => zeroRange(pack, Math.floor(random() * size), 4096)),
  'a pack gone': () => inPack((pack) => rmSync(pack)),
  'a pack gone from the bucket': () => rmSync(oneOf(packsBelow(scene.bucket))),
  'the index gone': () => {
    for (const path of indexFiles()) rmSync(path);
  },
  'a page of the index overwritten': () => {
    const path = join(scene.vault.dataDir, 'index.sqlite');
    zeroRange(path, 4096 * Math.floor((random() * statSync(path).size) / 4096), 4096);
  },
  'an index that is no database': () =>
    writeFileSync(join(scene.vault.dataDir, 'index.sqlite'), 'no database'.repeat(999)),
};

function inPack(damage: (pack: string, size: number) => void): void {
  const pack = oneOf(packsBelow(scene.vault.dataDir));
  damage(pack, readFileSync(pack).length);
}

function indexFiles(): string[] {
  return filesBelow(scene.vault.dataDir).filter((path) => /index\.sqlite[^/]*$/.test(path));
}

/** The owner's command line must bring itself back to where a sync reaches the bucket again, with nothing but its own commands. */
async function mend(what: string): Promise<void> {
  const scrub = await scene.run(['scrub', '--all', '--repair']);
  expect([0, 3, 20], `scrub after ${what}:\n${scrub.stdout}${scrub.stderr}`).toContain(scrub.exitCode);
  const sync = await scene.sync('s3');
  expect(sync.exitCode, `sync after ${what}:\n${sync.stdout}${sync.stderr}`).toBe(0);
  expect(scene.brokenBeliefs(), `after ${what}`).toEqual([]);
}

async function killedSync(): Promise<void> {
  const args = ['sync', scene.root, ...(random() < 0.5 ? ['--wait', 's3'] : []), ...scene.at];
  const run = await runAndKill({
    args,
    folders: [scene.vault.dataDir, scene.bucket],
    kill: { afterMs: random() * 500 },
  });
  count(run.killed ? 'killed' : 'ended before the kill');
  if (!run.killed) expect([0], run.stderr).toContain(run.exitCode);
}

function lookAtBeliefs(number: number, where: string): void {
  if (number % LOOKED_AT_EVERY === 0) expect(scene.brokenBeliefs(), where).toEqual([]);
}

async function round(number: number): Promise<void> {
  const where = `round ${number}, EDGESTORE_FAULT_SEED=${SEED}`;
  const luck = random();
  scene.vault.edit(5_000 + Math.floor(random() * 30_000));
  if (luck < 0.35) {
    await killedSync();
    lookAtBeliefs(number, where);
  } else if (luck < 0.75) {
    const [what, inject] = oneOf(Object.entries(FAULTS));
    if (random() < 0.3) await killedSync();
    // What was not acknowledged at the bucket has one copy, and a fault may take it.
    await scene.mustSync('s3');
    inject();
    count(what);
    await mend(`${what}, ${where}`);
  } else {
    await scene.mustSync(random() < 0.5 ? 's3' : 'local');
    count('left alone');
    lookAtBeliefs(number, where);
  }
  if (number % RESTORED_EVERY === 0) await scene.vault.lastRestores(where);
}

describe(`random rounds (EDGESTORE_FAULT_SEED=${SEED})`, () => {
  faultTest(
    'kills and media faults by chance lose nothing that was acknowledged',
    async () => {
      const until = performance.now() + MS_OF_ROUNDS;
      for (let number = 1; number <= ROUNDS && performance.now() < until; number++) {
        await round(number);
        count('rounds');
      }
      await scene.mustSync('s3');
      await scene.lastComesFrom(`file://${scene.bucket}`, 'from the bucket alone');
      await scene.json(['scrub', '--all']);
      expect((await scene.run(['status', '--check'])).exitCode).toBe(0);
    },
    { timeout: ROUNDS * MS_A_ROUND },
  );
});
