/**
 * Open folders of a restore's target, by path below its root. Every component is opened by itself, from its parent's descriptor and never
 * through a symlink, so nothing planted in the target can lead a write out of it; the cache makes that cheap.
 */
import { constants, fstatSync } from 'node:fs';
import { descriptorLimit } from '../../files/descriptor-limit.ts';
import { AT_FDCWD } from '../../files/libc.ts';
import { closeFd, openAt, openFolderAt } from '../../files/open-file.ts';
import type { WorkerContext } from '../worker-context.ts';

/** Open folders kept per worker and target: a depth-first restore stays near, and the usual limit of open files is 1024. */
const FOLDERS_OPEN_MAX = 64;
/** For all else that is open in the process: the index, packs, worker threads, and the program's own modules, which load when first used. */
const DESCRIPTORS_RESERVED = 48;
/** Workers and targets are few; none of them may take all that the rest needs. */
const DESCRIPTOR_SHARES = 8;
const foldersOpenMax = Math.max(
  1,
  Math.min(FOLDERS_OPEN_MAX, ((descriptorLimit() ?? 1024) - DESCRIPTORS_RESERVED) / DESCRIPTOR_SHARES),
);
const SLASH = 0x2f;
const HERE = Buffer.from('.');
const KEY = 'extract.folders';

export class FolderCache {
  readonly #root: Uint8Array;
  readonly #open = new Map<string, number>();
  /** Of each other file system below the root, one open folder: so that all of them can be synced. */
  readonly #mounted = new Map<number, number>();
  #rootDevice: number | undefined;

  constructor(root: Uint8Array) {
    this.#root = root;
  }

  /** A descriptor that stays open at least until the next call. Throws system errors (ENOENT, ELOOP, ENOTDIR …). */
  folder(path: Uint8Array): number {
    const key = keyOf(path);
    const cached = this.#open.get(key);
    if (cached !== undefined) {
      this.#open.delete(key);
      this.#open.set(key, cached);
      return cached;
    }
    // The nearest open ancestor; then down from it, one component at a time.
    let from = path.length;
    let fd: number | undefined;
    while (from > 0 && fd === undefined) {
      from = path.lastIndexOf(SLASH, from - 1);
      if (from < 0) from = 0;
      fd = this.#open.get(keyOf(path.subarray(0, from)));
    }
    fd ??= this.#keep(
      '',
      openAt(AT_FDCWD, this.#root, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW),
    );
    while (from < path.length) {
      const start = from === 0 ? 0 : from + 1;
      const slash = path.indexOf(SLASH, start);
      const end = slash === -1 ? path.length : slash;
      fd = this.#keep(keyOf(path.subarray(0, end)), openFolderAt(fd, path.subarray(start, end)));
      from = end;
    }
    return fd;
  }

  /** Descriptors of folders on file systems that are mounted below the root, one for each. */
  mounted(): number[] {
    return [...this.#mounted.values()];
  }

  close(): void {
    for (const fd of [...this.#open.values(), ...this.#mounted.values()]) closeFd(fd);
    this.#open.clear();
    this.#mounted.clear();
  }

  #noteDevice(fd: number): void {
    const { dev } = fstatSync(fd);
    this.#rootDevice ??= dev;
    if (dev === this.#rootDevice || this.#mounted.has(dev)) return;
    this.#mounted.set(dev, openAt(fd, HERE, constants.O_RDONLY | constants.O_DIRECTORY));
  }

  #keep(key: string, fd: number): number {
    this.#open.set(key, fd);
    this.#noteDevice(fd);
    if (this.#open.size > foldersOpenMax) {
      const [oldest, old] = this.#open.entries().next().value!;
      this.#open.delete(oldest);
      closeFd(old);
    }
    return fd;
  }
}

/** This worker's cache for a target. */
export function folderCacheOf(context: WorkerContext, root: Uint8Array): FolderCache {
  const caches = allCaches(context);
  const key = keyOf(root);
  let cache = caches.get(key);
  if (cache === undefined) {
    cache = new FolderCache(Uint8Array.from(root));
    caches.set(key, cache);
  }
  return cache;
}

/** Closes what is open below a target. */
export function dropFolderCache(context: WorkerContext, root: Uint8Array): void {
  const caches = allCaches(context);
  caches.get(keyOf(root))?.close();
  caches.delete(keyOf(root));
}

function allCaches(context: WorkerContext): Map<string, FolderCache> {
  let caches = context.kept.get(KEY) as Map<string, FolderCache> | undefined;
  if (caches === undefined) {
    caches = new Map();
    context.kept.set(KEY, caches);
  }
  return caches;
}

function keyOf(path: Uint8Array): string {
  return Buffer.from(path.buffer, path.byteOffset, path.byteLength).toString('latin1');
}
