/** The promise in one test: a folder with hostile names, kinds and times is synced, disappears, and comes back identical. */
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { differences, manifestOf } from '../oracle/manifest.ts';
import { edgestoreJson, runEdgestore } from '../support/edgestore-process.ts';
import { hostileTreeNeedsRoot, makeHostileTree } from '../support/hostile-tree.ts';
import { tempFolders } from '../support/temp-folder.ts';

const newFolder = tempFolders('hostile');

interface SyncData {
  readonly roots: readonly {
    readonly unchanged: boolean;
    readonly files: { readonly new: number };
    readonly bytes: { readonly new: number };
  }[];
}

describe('a hostile tree', () => {
  test(`comes back identical after its folder is gone${hostileTreeNeedsRoot ? ' (not root: without devices and foreign owners)' : ''}`, async () => {
    const base = newFolder();
    const folder = join(base, 'files');
    mkdirSync(folder);
    makeHostileTree(folder);
    const expected = manifestOf(folder);
    const at = ['--data-dir', join(base, 'data')];
    await edgestoreJson(['init', ...at, '--recovery-out', join(base, 'sheet')]);
    await edgestoreJson<SyncData>(['sync', folder, ...at]);

    // Reading a tree must not change it: access times aside, the second sync sees the same tree.
    expect(differences(expected, manifestOf(folder))).toEqual([]);
    const again = await edgestoreJson<SyncData>(['sync', folder, ...at]);
    expect(again.roots[0]?.unchanged).toBe(true);
    expect(again.roots[0]?.bytes.new).toBe(0);

    renameSync(folder, join(base, 'away'));
    const target = join(base, 'back');
    await edgestoreJson(['restore', 'latest', '--target', target, ...at]);
    expect(differences(expected, manifestOf(target))).toEqual([]);
  });

  test('restored and synced again as the same root sends nothing new', async () => {
    const base = newFolder();
    const folder = join(base, 'files');
    mkdirSync(folder);
    makeHostileTree(folder);
    const at = ['--data-dir', join(base, 'data')];
    await edgestoreJson(['init', ...at, '--recovery-out', join(base, 'sheet')]);
    await edgestoreJson(['sync', folder, ...at]);
    renameSync(folder, join(base, 'away'));
    await edgestoreJson(['restore', 'latest', '--target', folder, ...at]);
    const again = await edgestoreJson<SyncData>(['sync', folder, '--full-scan', ...at]);
    expect(again.roots[0]?.unchanged).toBe(true);
    expect(again.roots[0]?.bytes.new).toBe(0);
  });

  test('a folder that vanished is no mass deletion: exit 21, and no snapshot', async () => {
    const base = newFolder();
    const folder = join(base, 'files');
    mkdirSync(folder);
    makeHostileTree(folder);
    const at = ['--data-dir', join(base, 'data')];
    await edgestoreJson(['init', ...at, '--recovery-out', join(base, 'sheet')]);
    await edgestoreJson(['sync', folder, ...at]);
    renameSync(folder, join(base, 'away'));
    mkdirSync(folder);
    const guarded = await runEdgestore(['sync', folder, ...at]);
    expect(guarded.exitCode).toBe(21);
    const { snapshots } = await edgestoreJson<{ snapshots: unknown[] }>(['snapshot', 'list', ...at]);
    expect(snapshots).toHaveLength(1);
  });
});
