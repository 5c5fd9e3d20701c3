/** Whoever can write into a bucket: what is planted there costs bounded memory, and ends no process. */
import { closeSync, ftruncateSync, mkdirSync, openSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, expect } from 'vitest';
import { runMeasured } from './evil/evil-process.ts';
import { faultTest } from './fault-test.ts';
import { OwnerAndHolders } from './owner-and-holders.ts';

/** Far above what a sync of a few files takes. */
const MIB_MAX = 400;
const GIB = 1024 ** 3;

let scene: OwnerAndHolders;
afterEach(() => scene.remove());

/** A file of that length which takes no place on the disk. */
function plant(path: string, bytes: number): void {
  mkdirSync(dirname(path), { recursive: true });
  const file = openSync(path, 'w');
  ftruncateSync(file, bytes);
  closeSync(file);
}

for (const [what, name] of [
  ['store.id', 'store.id'],
  ['the descriptor', 'vault.edge'],
  ['a card', `cards/${'0'.repeat(32)}-1.card`],
  ['a slot', `slots/${'0'.repeat(32)}.slot`],
] as const)
  faultTest(
    `an object of three gigabytes in the place of ${what} is an error or passed over, and takes no memory`,
    async () => {
      scene = await OwnerAndHolders.make({ bucket: true });
      await scene.mustSync('s3');
      const vault = readdirSync(scene.bucket).find((one) => /^[0-9a-f]{32}$/.test(one)) ?? '';
      plant(join(scene.bucket, vault, name), 3 * GIB);
      const args = ['sync', scene.root, '--wait', 's3', '--timeout', '20s', ...scene.at];
      const sync = await runMeasured(args);
      expect(sync.signal, sync.stderr).toBeUndefined();
      expect([0, 5, 7, 8], sync.stderr).toContain(sync.exitCode);
      expect(sync.mib).toBeLessThan(MIB_MAX);
    },
  );

faultTest('a thousand large cards of nobody in a bucket take no memory of a recovery', async () => {
  scene = await OwnerAndHolders.make({ bucket: true });
  await scene.mustSync('s3');
  const vault = readdirSync(scene.bucket).find((one) => /^[0-9a-f]{32}$/.test(one)) ?? '';
  for (let i = 0; i < 1000; i++)
    plant(join(scene.bucket, vault, 'cards', `${String(i).padStart(32, '0')}-1.card`), 1024 ** 2);
  const recover = ['recover', '--from', `file://${scene.bucket}`, '--recovery-file', scene.vault.sheet, '--read-only'];
  const done = await runMeasured([
    ...recover,
    '--agent',
    scene.vault.ownerName,
    '--data-dir',
    join(scene.vault.base, 'new'),
  ]);
  expect(done.signal, done.stderr).toBeUndefined();
  expect(done.exitCode, done.stderr).toBe(0);
  expect(done.mib).toBeLessThan(MIB_MAX);
});
