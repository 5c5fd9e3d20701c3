/** A bucket that has the only copies goes: what is acknowledged after that does not rest on it. */
import { copyFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { faultTest } from './fault-test.ts';
import { OwnerAndHolders } from './owner-and-holders.ts';

const TIERS = '[stores.archive]\nurl = "file://BUCKET"\n[tiering.default]\nhot = "0s"\nwarm = "0s"\ncold = "archive"\n';

let scene: OwnerAndHolders;
beforeEach(async () => {
  scene = await OwnerAndHolders.make({ config: TIERS });
  mkdirSync(scene.bucket, { recursive: true });
  await scene.mustSync('local');
  const { dropped } = await scene.json<{ dropped: { chunks: number } }>(['tier', 'run', '--yes']);
  expect(dropped.chunks).toBeGreaterThan(0);
});
afterEach(() => scene.remove());

const file = (name: string): string => join(scene.root, 'folder 1', name);

faultTest('its name leaves the configuration: what files still have is stored again, and restores', async () => {
  rmSync(scene.bucket, { recursive: true });
  writeFileSync(join(scene.vault.dataDir, 'conf.d', 'crash.toml'), '');
  copyFileSync(file('file 1'), file('a copy'));
  const sync = await scene.sync('local');
  expect(sync.exitCode, sync.stdout + sync.stderr).toBe(0);
  expect(sync.stdout).toContain('W_STORE_NOT_CONFIGURED');
  const last = scene.vault.journal.last!;
  const out = join(scene.vault.base, 'out');
  const restore = await scene.run(['restore', last.snapshot, '--target', out]);
  expect(restore.exitCode, restore.stdout + restore.stderr).toBe(0);
});

faultTest('it is unplugged: a new file with the bytes of an old one is stored again', async () => {
  renameSync(scene.bucket, `${scene.bucket}.away`);
  copyFileSync(file('file 1'), file('a copy'));
  const sync = await scene.sync('local');
  expect(sync.exitCode, sync.stdout + sync.stderr).toBe(0);
  expect(sync.stdout).toContain('W_STORE_AWAY');
  const out = join(scene.vault.base, 'out');
  const restore = await scene.run(['restore', 'latest:folder 1/a copy', '--target', out]);
  expect(restore.exitCode, restore.stdout + restore.stderr).toBe(0);
  // Plugged in again all of it is there, and counts.
  renameSync(`${scene.bucket}.away`, scene.bucket);
  await scene.mustSync('local');
  await scene.everythingRestores('with the bucket');
});
