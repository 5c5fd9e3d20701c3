/**
 * Objects as files below a folder: a mounted archive, or a bucket's stand-in on one machine.
 *
 * A put goes to a file of its own, is fsynced, gets its final name in one step, and then every folder whose entries changed is
 * fsynced: without the last step a power loss may take the name away although the bytes are on the disk.
 */
import { constants, type Dirent } from 'node:fs';
import { type FileHandle, link, lstat, mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock, RandomBytes } from '../../core/clock.ts';
import { EdgeError, errnoOf } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import { toHex } from '../../core/ids.ts';
import type { ObjectStat, ObjectStore } from '../../core/ports/object-store.ts';
import { readFromMedium } from '../chunk-store/page-cache.ts';
import { folderError, isAbsence, noFolder } from './folder-errors.ts';
import { FolderNames, syncFolder } from './folder-names.ts';
import {
  checkObjectKey,
  checkObjectPrefix,
  checkRange,
  rangeBeyondEnd,
  refuseLarge,
  UNFINISHED_FOLDER,
} from './object-key.ts';

const LEFT_OVER_AGE_MS = 48 * 3_600_000;

export interface FolderObjectStoreInput {
  /** Absolute path; `makePlace` makes it (0700) when its parent exists, a put never does. */
  readonly folder: string;
}

/** E_NO_BUCKET from each verb when neither the folder nor its parent is there: a mount that is gone is not an empty store. */
export function openFolderObjectStore(
  input: FolderObjectStoreInput,
  deps: { readonly random: RandomBytes; readonly clock: Clock },
): ObjectStore {
  const { folder } = input;
  const label = `file://${folder}`;
  const pathOf = (key: string) => join(folder, key);
  const names = new FolderNames(folder);
  let isSwept = false;

  return {
    label,
    capabilities: { conditionalPut: true, statMd5: false },

    async put(key, body, options = {}) {
      checkObjectKey(key);
      options.signal?.throwIfAborted();
      await requirePlace();
      const unfinished = join(folder, UNFINISHED_FOLDER);
      const temporary = join(unfinished, toHex(deps.random(12)));
      const target = pathOf(key);
      try {
        await names.makeFolder(unfinished);
        if (!isSwept) await removeLeftOver(unfinished, deps.clock);
        isSwept = true;
        await writeAndSync(temporary, body, options.signal);
        await names.makeFolder(dirname(target));
        if (options.ifAbsent === true) await link(temporary, target);
        else await rename(temporary, target);
        failpoint('folder-store.named');
        await names.sync(dirname(target));
      } catch (error) {
        if (options.ifAbsent === true && errnoOf(error) === 'EEXIST') {
          throw new EdgeError('E_BUSY', `${label}/${key} exists already`, { context: { store: label, key } });
        }
        // Someone removed a folder that this process had made: forget what is known, so that the next try makes it again.
        if (errnoOf(error) === 'ENOENT') names.forget();
        throw folderError(error, label, key, 'write');
      } finally {
        await unlinkIfThere(temporary);
      }
    },

    async get(key, options = {}) {
      checkObjectKey(key);
      checkRange(options.range);
      options.signal?.throwIfAborted();
      try {
        const file = await openIfThere(pathOf(key));
        if (file === undefined) return await absent(folder, label);
        try {
          const { size } = await file.stat();
          if (options.range === undefined) refuseLarge(label, key, size);
          const range = options.range ?? { offset: 0, length: size };
          if (range.offset + range.length > size) throw rangeBeyondEnd(label, key, range, size);
          // Who reads here verifies: what the kernel remembers of the file is as it was written, whatever the disk made of it.
          readFromMedium(file.fd, range.offset, range.length);
          return await readExactly(file, range, options.signal, () => rangeBeyondEnd(label, key, range));
        } finally {
          await file.close();
        }
      } catch (error) {
        throw folderError(error, label, key, 'read');
      }
    },

    async stat(key, options = {}) {
      checkObjectKey(key);
      options.signal?.throwIfAborted();
      try {
        const found = await lstat(pathOf(key));
        return found.isFile() ? { key, size: found.size } : undefined;
      } catch (error) {
        if (isAbsence(error)) return absent(folder, label);
        throw folderError(error, label, key, 'read');
      }
    },

    async *list(prefix, options = {}): AsyncGenerator<ObjectStat> {
      checkObjectPrefix(prefix);
      const slash = prefix.lastIndexOf('/');
      await absent(folder, label);
      yield* walk(prefix.slice(0, slash + 1), prefix, options.after ?? '', options.signal);
    },

    async delete(key, options = {}) {
      checkObjectKey(key);
      options.signal?.throwIfAborted();
      try {
        await unlink(pathOf(key));
        await names.sync(dirname(pathOf(key)));
      } catch (error) {
        if (isAbsence(error)) return absent(folder, label);
        throw folderError(error, label, key, 'delete');
      }
    },

    async makePlace() {
      await ensureStoreFolder(folder, label);
    },

    async settle(prefix, options = {}) {
      checkObjectPrefix(prefix);
      await requirePlace();
      const top = join(folder, prefix.slice(0, prefix.lastIndexOf('/') + 1));
      try {
        await names.settle(top, options.signal);
      } catch (error) {
        if (!isAbsence(error)) throw folderError(error, label, prefix, 'write');
      }
    },
  };

  /** E_NO_BUCKET when the folder is not there. What is known of its names ends with it: another disk has others. */
  async function requirePlace(): Promise<void> {
    try {
      const { dev, ino } = await lstat(folder, { bigint: true });
      names.ofPlace(`${dev}/${ino}`);
    } catch (error) {
      if (isAbsence(error)) throw noFolder(folder, label);
      throw folderError(error, label, '', 'write');
    }
  }

  /** Yields in key order: a folder sorts as its name and a slash, which is how its keys compare. */
  async function* walk(
    within: string,
    prefix: string,
    after: string,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<ObjectStat> {
    let entries: Dirent[];
    try {
      entries = await readdir(join(folder, within), { withFileTypes: true });
    } catch (error) {
      if (isAbsence(error)) return;
      throw folderError(error, label, within, 'list');
    }
    const sorted = entries
      .map((entry) => ({ entry, key: `${within}${entry.name}${entry.isDirectory() ? '/' : ''}` }))
      .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
    for (const { entry, key } of sorted) {
      signal?.throwIfAborted();
      if (entry.isDirectory()) {
        if (key === `${UNFINISHED_FOLDER}/`) continue;
        const isBehind = key > after || after.startsWith(key);
        if (isBehind && (key.startsWith(prefix) || prefix.startsWith(key))) yield* walk(key, prefix, after, signal);
      } else if (entry.isFile() && key.startsWith(prefix) && key > after) {
        try {
          const { size, mtimeNs } = await lstat(pathOf(key), { bigint: true });
          yield { key, size: Number(size), modifiedNs: mtimeNs };
        } catch (error) {
          // Deleted between the listing and the look: as if it had been gone before.
          if (!isAbsence(error)) throw folderError(error, label, key, 'list');
        }
      }
    }
  }
}

/** Undefined when the store is there (so that one object is absent from it), E_NO_BUCKET when the store itself is not. */
async function absent(folder: string, label: string): Promise<undefined> {
  for (const path of [folder, dirname(folder)]) {
    try {
      if ((await lstat(path)).isDirectory() || path === folder) return undefined;
    } catch (error) {
      if (!isAbsence(error)) throw folderError(error, label, '', 'read');
    }
  }
  throw noFolder(dirname(folder), label);
}

async function ensureStoreFolder(folder: string, label: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 });
    await syncFolder(dirname(folder));
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return;
    if (isAbsence(error)) throw noFolder(dirname(folder), label);
    throw folderError(error, label, '', 'write');
  }
}

/** What killed processes left: old enough that nobody can still be writing it, here or on another machine. */
async function removeLeftOver(unfinished: string, clock: Clock): Promise<void> {
  const beforeMs = Number(clock.nowNs() / 1_000_000n) - LEFT_OVER_AGE_MS;
  for (const name of await readdir(unfinished)) {
    const path = join(unfinished, name);
    try {
      if ((await lstat(path)).mtimeMs < beforeMs) await unlink(path);
    } catch (error) {
      if (!isAbsence(error)) throw error;
    }
  }
}

async function writeAndSync(path: string, body: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    const stepBytes = 8 * 1024 * 1024;
    for (let at = 0; at < body.length; ) {
      signal?.throwIfAborted();
      const { bytesWritten } = await file.write(body, at, Math.min(stepBytes, body.length - at), at);
      at += bytesWritten;
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if ((await file.stat()).isFile()) return file;
    await file.close();
    return undefined;
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}

async function readExactly(
  file: FileHandle,
  range: { readonly offset: number; readonly length: number },
  signal: AbortSignal | undefined,
  tooShort: () => EdgeError,
): Promise<Uint8Array> {
  const out = new Uint8Array(range.length);
  for (let at = 0; at < out.length; ) {
    signal?.throwIfAborted();
    const { bytesRead } = await file.read(out, at, out.length - at, range.offset + at);
    if (bytesRead === 0) throw tooShort();
    at += bytesRead;
  }
  return out;
}

async function unlinkIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!isAbsence(error)) throw error;
  }
}
