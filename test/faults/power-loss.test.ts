/**
 * Power losses at every moment of a command: the disk keeps what was fsynced, and anything or nothing of the rest. In each state that this leaves,
 * the next command works, and what was acknowledged before the loss is there.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect } from 'vitest';
import { type Acknowledged, restoresExactly } from '../crash/journal.ts';
import { toldBy, Vault } from '../crash/vault.ts';
import { chainFilesBelow } from '../support/chain-files.ts';
import { edgestoreJson, runEdgestore } from '../support/edgestore-process.ts';
import { pseudoRandom } from '../support/hostile-tree.ts';
import { faultTest } from './fault-test.ts';
import { filesBelow } from './kit/media.ts';
import { type Kept, RecordedDisk } from './kit/power-loss.ts';
import { OwnerAndHolders } from './owner-and-holders.ts';
import { SEED, seededRandom, spread } from './rounds.ts';

const random = seededRandom(SEED);
const KEPT: readonly Kept[] = ['synced', 'names', 'contents', { random }];
const needs = ['strace'] as const;
const timeout = 600_000;

let vault: Vault;
afterEach(() => vault?.remove());

async function newVault(): Promise<RecordedDisk> {
  vault = new Vault();
  await vault.make();
  return new RecordedDisk(vault.dataDir);
}

function nameOf(kept: Kept): string {
  return typeof kept === 'string' ? kept : `random, EDGESTORE_FAULT_SEED=${SEED}`;
}

/** Makes the state, and looks for what must be there. */
async function survives(disk: RecordedDisk, point: number, kept: Kept, wanted: readonly Acknowledged[]): Promise<void> {
  const state = join(vault.base, 'state');
  disk.makeStateAt(point, kept, state);
  const what = `power loss after ${point} of ${disk.operations.length} operations (kept: ${nameOf(kept)})`;
  for (const entry of wanted) await restoresExactly(entry, ['--data-dir', state], what);
  const next = await runEdgestore(['sync', vault.root, '--data-dir', state]);
  if (next.exitCode !== 0)
    throw new Error(`${what}: the next sync ended with ${next.exitCode}\n${next.stdout}${next.stderr}`);
}

describe(`power losses of an owner`, () => {
  faultTest(
    'a power loss during a sync loses nothing that was acknowledged, whatever the disk kept',
    async () => {
      const disk = await newVault();
      const before = vault.journal.last as Acknowledged;
      vault.edit();
      const run = await disk.run(['sync', vault.root, '--json', ...vault.at]);
      vault.acknowledge(toldBy({ ...run, killed: false, writingMs: 0, hits: new Map() }));
      const after = vault.journal.last as Acknowledged;
      const states = disk.crashPoints().flatMap((point) => KEPT.map((kept) => ({ point, kept })));
      for (const { point, kept } of spread(states, 8)) {
        const isTold = disk.saidBefore(point).includes(after.snapshot);
        await survives(disk, point, kept, isTold ? [after] : [before]);
      }
      await survives(disk, disk.operations.length, 'synced', [before, after]);
    },
    { needs, timeout },
  );

  faultTest(
    'a power loss while small packs are merged loses nothing',
    async () => {
      await newVault();
      for (let i = 0; i < 6; i++) {
        vault.edit(60_000);
        await vault.sync();
      }
      const disk = new RecordedDisk(vault.dataDir);
      const entries = [...vault.journal.entries];
      vault.edit(60_000);
      const run = await disk.run(['sync', vault.root, '--json', ...vault.at]);
      expect(run.exitCode).toBe(0);
      expect(disk.operations.filter(({ kind }) => kind === 'unlink').length).toBeGreaterThan(4);
      const states = disk.crashPoints().flatMap((point) => KEPT.map((kept) => ({ point, kept })));
      for (const { point, kept } of spread(states, 5)) await survives(disk, point, kept, spread(entries, 2));
    },
    { needs, timeout, long: true },
  );

  for (const [what, failpoint] of [
    ['the end of the log', 'chain.record-written'],
    ['the name of a pack', 'pack.renamed'],
    ['the folder of a pack', 'pack.folder-made'],
  ] as const) {
    faultTest(
      `${what} that a kill left unsynced is synced before anything relies on it`,
      async () => {
        const disk = await newVault();
        const before = vault.journal.last as Acknowledged;
        vault.edit();
        const killed = await disk.run(['sync', vault.root, ...vault.at], { EDGESTORE_FAILPOINT: `${failpoint}:1` });
        expect(killed.exitCode).not.toBe(0);
        // Adopts what the kill left, and says that it is there.
        await disk.run(['status', ...vault.at]);
        await survives(disk, disk.operations.length, 'synced', [before]);
        const run = await disk.run(['sync', vault.root, '--json', ...vault.at]);
        vault.acknowledge(toldBy({ ...run, killed: false, writingMs: 0, hits: new Map() }));
        const after = vault.journal.last as Acknowledged;
        for (const kept of ['synced', 'contents'] as const)
          await survives(disk, disk.operations.length, kept, [before, after]);
      },
      { needs, timeout },
    );
  }

  faultTest(
    'names of a bucket folder that a kill left unsynced are synced before anything there counts',
    async () => {
      const scene = await OwnerAndHolders.make({ bucket: true });
      vault = scene.vault;
      const disk = new RecordedDisk(scene.bucket);
      const sync = ['sync', scene.root, '--wait', 's3', '--json', ...scene.at];
      // A pack, another one, and a segment: nothing that comes later would sync their folders by the way.
      const names = ['1', '2', '3'];
      for (const nth of names) {
        scene.vault.edit(60_000);
        const killed = await disk.run(sync, { EDGESTORE_FAILPOINT: `folder-store.named:${nth}` });
        expect(killed.exitCode, `folder-store.named:${nth}`).not.toBe(0);
      }
      expect((await disk.run(sync)).exitCode).toBe(0);
      const state = join(vault.base, 'state');
      disk.makeStateAt(disk.operations.length, 'synced', state);
      const objects = (folder: string): string[] =>
        bytesOf(folder).filter((line) => !line.includes('.edgestore-unfinished'));
      expect(objects(state)).toEqual(objects(scene.bucket));
    },
    { needs, timeout },
  );

  faultTest(
    'an unfinished end of a chain is on the disk at every moment, in the chain or beside it',
    async () => {
      vault = new Vault();
      await vault.make();
      const [file] = chainFilesBelow(join(vault.dataDir, 'chains')) as [string];
      const torn = Buffer.concat([Buffer.from([200, 1, 0, 0]), pseudoRandom(100, 7)]);
      writeFileSync(file, Buffer.concat([readFileSync(file), torn]));
      const disk = new RecordedDisk(vault.dataDir);
      expect((await disk.run(['status', ...vault.at])).exitCode).toBe(0);
      const state = join(vault.base, 'state');
      for (const [point] of disk.operations.entries()) {
        disk.makeStateAt(point + 1, 'synced', state);
        const kept = filesBelow(join(state, 'chains')).some((path) => readFileSync(path).includes(torn));
        expect(kept, `after ${point + 1} of ${disk.operations.length} operations`).toBe(true);
      }
    },
    { needs, timeout },
  );

  faultTest(
    'a power loss during init leaves a vault that works, or a folder in which init works',
    async () => {
      vault = new Vault();
      mkdirSync(vault.dataDir);
      mkdirSync(join(vault.root, 'folder 1'), { recursive: true });
      mkdirSync(join(vault.root, 'folder 2'));
      vault.edit();
      const disk = new RecordedDisk(vault.dataDir);
      const init = (dataDir: string): string[] => [
        'init',
        '--data-dir',
        dataDir,
        '--recovery-out',
        `${vault.sheet} ${Math.floor(random() * 2 ** 31)}`,
      ];
      expect((await disk.run(init(vault.dataDir))).exitCode).toBe(0);
      const states = disk.crashPoints().flatMap((point) => KEPT.map((kept) => ({ point, kept })));
      const state = join(vault.base, 'state');
      for (const { point, kept } of spread(states, 6)) {
        disk.makeStateAt(point, kept, state);
        const again = await runEdgestore(init(state));
        expect(again.exitCode, `init after ${point}, ${nameOf(kept)}: ${again.stderr}`).toBe(0);
        await edgestoreJson(['sync', vault.root, '--data-dir', state]);
      }
    },
    { needs, timeout },
  );
});

describe('power losses of a restore', () => {
  faultTest(
    'a restore is durable before its marker goes: after a power loss every file is whole, or the same command goes on',
    async () => {
      await newVault();
      // Several windows of files, and one that is larger than a buffer.
      for (let i = 0; i < 20; i++) writeFileSync(join(vault.root, `more ${i}`), pseudoRandom(20_000 + i, 500 + i));
      writeFileSync(join(vault.root, 'large'), pseudoRandom(3_000_000, 499));
      await vault.sync();
      const place = join(vault.base, 'place');
      mkdirSync(place);
      const disk = new RecordedDisk(place);
      const restore = (folder: string): string[] => ['restore', 'latest', '--target', join(folder, 'out'), ...vault.at];
      expect((await disk.run(restore(place))).exitCode).toBe(0);
      const wanted = bytesOf(vault.root);
      expect(bytesOf(join(place, 'out'))).toEqual(wanted);
      const states = disk.crashPoints().flatMap((point) => KEPT.map((kept) => ({ point, kept })));
      const state = join(vault.base, 'state');
      for (const { point, kept } of [
        ...spread(states, 6),
        ...KEPT.map((kept) => ({ point: disk.operations.length, kept })),
      ]) {
        disk.makeStateAt(point, kept, state);
        const what = `after ${point} of ${disk.operations.length}, ${nameOf(kept)}`;
        const again = await runEdgestore(restore(state));
        // 2: no marker was left, so the target is somebody's folder with something in it.
        expect([0, 2], `${what}: ${again.stderr}`).toContain(again.exitCode);
        expect(bytesOf(join(state, 'out')), what).toEqual(wanted);
        rmSync(state, { recursive: true });
      }
    },
    { needs, timeout },
  );
});

function bytesOf(folder: string): string[] {
  return filesBelow(folder).map((path) => {
    const bytes = readFileSync(path);
    return `${path.slice(folder.length)} ${bytes.length} ${createHash('sha256').update(bytes).digest('hex')}`;
  });
}

describe('power losses of a holder', () => {
  faultTest(
    'a holder whose power goes right after the acknowledgement has everything on its disk',
    async () => {
      const scene = await OwnerAndHolders.make({ holders: 1 });
      vault = scene.vault;
      try {
        const [holder] = scene.holders;
        if (holder === undefined) throw new Error('no holder');
        await scene.mustSync('peers=1');
        await holder.stop();
        const disk = new RecordedDisk(holder.dataDir);
        const ending = disk.run(['agent', 'run', ...holder.at]);
        scene.vault.edit();
        await scene.mustSync('peers=1');
        process.kill(pidOf(holder.dataDir), 'SIGKILL');
        await ending;
        for (const kept of KEPT) {
          disk.makeStateAt(disk.operations.length, kept, join(vault.base, 'state'));
          rmSync(holder.dataDir, { recursive: true });
          disk.makeStateAt(disk.operations.length, kept, holder.dataDir);
          expect(scene.brokenBeliefs(), nameOf(kept)).toEqual([]);
          await holder.start();
          await scene.lastComesFrom(`https://127.0.0.1:${holder.port}`, nameOf(kept));
          await holder.stop();
        }
      } finally {
        await scene.remove();
      }
    },
    { needs, timeout },
  );
});

/** The lock of a data dir names the process that works there (docs/formats/data-dir.md). */
function pidOf(dataDir: string): number {
  return (JSON.parse(readFileSync(join(dataDir, 'lock'), 'utf8')) as { pid: number }).pid;
}
