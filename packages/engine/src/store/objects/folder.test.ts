import { existsSync, readlinkSync } from 'node:fs';
import { type FileHandle, mkdir, mkdtemp, open, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { objectStoreContract } from '../../testing/object-store-contract.ts';
import { realClock } from '../../testing/real-clock.ts';
import { createSeededRandom } from '../../testing/seeded-random.ts';
import { openFolderObjectStore } from './folder.ts';
import { UNFINISHED_FOLDER } from './object-key.ts';

const random = createSeededRandom('folder');
const folders: string[] = [];
const newFolder = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgestore-folder-'));
  folders.push(folder);
  return folder;
};
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

objectStoreContract('the folder driver', {
  open: async () => {
    const store = openFolderObjectStore({ folder: join(await newFolder(), 'store') }, { random, clock: realClock });
    await store.makePlace?.();
    return store;
  },
});

describe('the folder driver', () => {
  it('syncs the file before it has its name, and then every folder whose names changed', async () => {
    const folder = await newFolder();
    const store = openFolderObjectStore({ folder }, { random, clock: realClock });
    const target = join(folder, 'a', 'b', 'object');
    const probe = await open(folder, 'r');
    const prototype = Object.getPrototypeOf(probe) as { sync(this: FileHandle): Promise<void> };
    await probe.close();
    const seen: { what: string; named: boolean }[] = [];
    const spy = vi.spyOn(prototype, 'sync').mockImplementation(async function (this: FileHandle) {
      seen.push({ what: readlinkSync(`/proc/self/fd/${this.fd}`).slice(folder.length), named: existsSync(target) });
    });
    for (const ifAbsent of [false, true]) {
      seen.length = 0;
      await store.put('a/b/object', Buffer.from('x'), { ifAbsent });
      const file = seen.findIndex(({ what }) => what.startsWith(`/${UNFINISHED_FOLDER}/`));
      expect(seen[file]?.named).toBe(false);
      expect(seen.slice(file + 1).some(({ what, named }) => what === '/a/b' && named)).toBe(true);
      if (!ifAbsent)
        for (const parent of ['', '/a'])
          expect(
            seen.some(({ what }) => what === parent),
            parent,
          ).toBe(true);
      seen.length = 0;
      await store.delete('a/b/object');
      expect(seen).toEqual([{ what: '/a/b', named: false }]);
    }
    spy.mockRestore();
  });

  it('takes a mount that is gone for a missing store, not for an empty one', async () => {
    const gone = openFolderObjectStore(
      { folder: join(await newFolder(), 'unmounted', 'store') },
      { random, clock: realClock },
    );
    for (const run of [
      async () => gone.makePlace?.(),
      () => gone.put('a', new Uint8Array(1)),
      () => gone.get('a'),
      () => gone.stat('a'),
      () => gone.delete('a'),
      () => gone.list('')[Symbol.asyncIterator]().next(),
    ]) {
      await expect(run()).rejects.toMatchObject({ code: 'E_NO_BUCKET', exitCode: 10 });
    }
  });

  it('makes its folder when it is told to, and never by a put', async () => {
    const folder = join(await newFolder(), 'store');
    const store = openFolderObjectStore({ folder }, { random, clock: realClock });
    await expect(store.put('a', new Uint8Array(1))).rejects.toMatchObject({ code: 'E_NO_BUCKET' });
    expect(existsSync(folder)).toBe(false);
    expect(await store.get('a')).toBeUndefined();
    await store.makePlace?.();
    await store.put('a/b', new Uint8Array(1));
    await rm(folder, { recursive: true });
    await expect(store.put('a/b', new Uint8Array(1))).rejects.toMatchObject({ code: 'E_NO_BUCKET' });
    expect(existsSync(folder)).toBe(false);
  });

  it('leaves nothing unfinished behind after a put that failed', async () => {
    const folder = await newFolder();
    const store = openFolderObjectStore({ folder }, { random, clock: realClock });
    await store.put('taken', new Uint8Array(1));
    await expect(store.put('taken', new Uint8Array(2), { ifAbsent: true })).rejects.toMatchObject({ code: 'E_BUSY' });
    await expect(store.put('taken/below', new Uint8Array(2))).rejects.toMatchObject({ code: 'E_STORE' });
    expect(await readdir(join(folder, UNFINISHED_FOLDER))).toEqual([]);
  });

  it('removes what a killed writer left long ago, and leaves what another one writes now', async () => {
    const folder = await newFolder();
    const unfinished = join(folder, UNFINISHED_FOLDER);
    await mkdir(unfinished);
    for (const name of ['old', 'fresh']) await writeFile(join(unfinished, name), 'half');
    await utimes(join(unfinished, 'old'), 1, 1);
    await openFolderObjectStore({ folder }, { random, clock: realClock }).put('k', new Uint8Array(1));
    expect(await readdir(unfinished)).toEqual(['fresh']);
  });

  it('neither lists nor reads what is not a plain file of its own', async () => {
    const folder = await newFolder();
    const store = openFolderObjectStore({ folder }, { random, clock: realClock });
    await writeFile(join(folder, 'real'), 'x');
    await symlink('/etc/passwd', join(folder, 'link'));
    await mkdir(join(folder, UNFINISHED_FOLDER));
    await writeFile(join(folder, UNFINISHED_FOLDER, 'half'), 'x');
    const keys = [];
    for await (const found of store.list('')) keys.push(found.key);
    expect(keys).toEqual(['real']);
    expect(await store.stat('link')).toBeUndefined();
    await expect(store.get('link')).rejects.toMatchObject({ code: 'E_STORE' });
  });

  it('makes a folder again that someone removed under it', async () => {
    const folder = await newFolder();
    const store = openFolderObjectStore({ folder }, { random, clock: realClock });
    await store.put('a/b/c', new Uint8Array(1));
    await rm(join(folder, 'a'), { recursive: true });
    await expect(store.put('a/b/c', new Uint8Array(1))).rejects.toMatchObject({ code: 'E_STORE', retryable: true });
    await store.put('a/b/c', new Uint8Array(1));
    expect((await store.stat('a/b/c'))?.size).toBe(1);
  });
});
