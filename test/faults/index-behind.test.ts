/** An index whose commit failed: the log has what the index has not. It is brought up before anything is appended, acknowledged or sent. */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, expect } from 'vitest';
import { runEdgestore } from '../support/edgestore-process.ts';
import { faultTest } from './fault-test.ts';
import { runWithSyscallFaults, SYNCS } from './kit/syscall-faults.ts';
import { OwnerAndHolders } from './owner-and-holders.ts';
import { spread } from './rounds.ts';

let scene: OwnerAndHolders;
afterEach(() => scene.remove());

/** More fsyncs of the write-ahead log than one sync has. */
const SYNCS_OF_A_RUN = 12;

/** After the fault: everything is known again, and what is called safe at the bucket is restorable from it. */
async function isWhole(what: string): Promise<void> {
  scene.vault.edit(40_000);
  await scene.mustSync('s3');
  expect(scene.brokenBeliefs(), what).toEqual([]);
}

faultTest(
  'a failed fsync of the index is followed by no success, and the next sync makes everything whole',
  async () => {
    scene = await OwnerAndHolders.make({ bucket: true });
    await scene.mustSync('s3');
    const wal = join(scene.vault.dataDir, 'index.sqlite-wal');
    let failed = 0;
    for (const nth of spread(
      Array.from({ length: SYNCS_OF_A_RUN }, (_, at) => at + 1),
      6,
    )) {
      scene.vault.edit(40_000);
      const fault = [{ calls: SYNCS, error: 'EIO', when: String(nth), files: [wal] }];
      const sync = await runWithSyscallFaults(
        ['sync', scene.root, '--wait', 's3', '--timeout', '20s', ...scene.at],
        fault,
      );
      if (sync.injected === 0) continue;
      failed++;
      await isWhole(`fsync ${nth} of the index failed: ${sync.exitCode}`);
    }
    expect(failed).toBeGreaterThan(2);
    await scene.lastComesFrom(`file://${scene.bucket}`, 'from the bucket alone');
  },
  { needs: ['strace'], timeout: 600_000 },
);

faultTest(
  'an index that another process keeps locked: the record is not lost on the next start',
  async () => {
    scene = await OwnerAndHolders.make({ bucket: true });
    await scene.mustSync('s3');
    scene.vault.edit(40_000);
    const other = new Database(join(scene.vault.dataDir, 'index.sqlite'));
    let isLocked = false;
    try {
      // As an administrator with the sqlite3 shell does it. Taken while the sync reads the root, before it commits anything.
      const sync = runEdgestore(['sync', scene.root, ...scene.at], {
        env: { EDGESTORE_FAILPOINT_LOG: join(scene.vault.base, 'failpoints') },
        onStart: () => {
          other.exec('BEGIN IMMEDIATE');
          isLocked = true;
        },
      });
      await new Promise((resolve) => setTimeout(resolve, 7000));
      other.exec('ROLLBACK');
      isLocked = false;
      await sync;
    } finally {
      if (isLocked) other.exec('ROLLBACK');
      other.close();
    }
    await isWhole('after a locked index');
    await scene.lastComesFrom(`file://${scene.bucket}`, 'from the bucket alone');
  },
  { timeout: 180_000 },
);
