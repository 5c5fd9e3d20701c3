/**
 * Looks at what is already in a target: which entries need not be made again. After a stopped run an entry counts as done only when its
 * size, its time and its content, read back and identified, are right.
 */
import { readSync } from 'node:fs';
import type { Identify } from '../../codec/identify.ts';
import { bytesEqual } from '../../core/bytes.ts';
import { EdgeError, errnoOf } from '../../core/errors.ts';
import { ChunkKind } from '../../core/ids.ts';
import { type FileStat, statAt, statFd } from '../../files/file-stat.ts';
import { readLinkAt } from '../../files/make-entry.ts';
import { closeFd, openForReading } from '../../files/open-file.ts';
import { wasRead } from '../../files/read-file.ts';
import type { ContentRef, EntryType, Hole } from '../../tree/entry.ts';
import type { Task } from '../task.ts';
import type { Segment } from './extract-batch.ts';
import { failureOf } from './extract-files.ts';
import { folderCacheOf } from './extract-folder-cache.ts';
import { createContentLayout } from './extract-layout.ts';
import type { ItemFailure } from './extract-meta.ts';
import { removeTreeAt } from './extract-remove.ts';

/** `resume`: only what an earlier run finished is kept. The others are the modes of `--overwrite`. */
export type KeepRule = 'resume' | 'never' | 'if-changed' | 'if-newer' | 'always';

export interface CheckItem {
  readonly folder: Uint8Array;
  readonly name: Uint8Array;
  readonly type: EntryType;
  readonly mtimeNs: bigint;
  readonly size?: number | undefined;
  readonly holes?: readonly Hole[] | undefined;
  readonly target?: Uint8Array | undefined;
  /** Small files: their chunks. Absent for large ones, whose pieces are verified by `extractVerify`. */
  readonly refs?: readonly ContentRef[] | undefined;
}

/** 0: is to be made. 1: stays as it is. 2: of the right size and time, content not looked at (a large file). */
export type Verdict = 0 | 1 | 2;

export interface ExtractCheckTask {
  readonly input: {
    readonly root: Uint8Array;
    readonly items: readonly CheckItem[];
    readonly rule: KeepRule;
    /** The rule `always` takes a file that verifies as done: a stopped run wrote it. */
    readonly verify: boolean;
    /** A folder in the way of something else is removed with all in it (`--delete`). */
    readonly removeFolders: boolean;
  };
  readonly output: { readonly verdicts: Uint8Array; readonly failures: readonly ItemFailure[] };
}

export const task: Task<ExtractCheckTask['input'], ExtractCheckTask['output']> = async (input, context) => {
  const folders = folderCacheOf(context, input.root);
  const identify = await context.identify();
  const verdicts = new Uint8Array(input.items.length);
  const failures: ItemFailure[] = [];
  for (const [index, item] of input.items.entries()) {
    try {
      const dir = folders.folder(item.folder);
      const there = statAt(dir, item.name);
      if (there !== undefined) verdicts[index] = judge(dir, item, there);
    } catch (error) {
      failures.push(failureOf(index, error));
    }
  }
  return { output: { verdicts, failures } };

  function judge(dir: number, item: CheckItem, there: FileStat): Verdict {
    if (input.rule === 'never') return 1;
    if (input.rule === 'if-newer' && item.mtimeNs <= there.mtimeNs) return 1;
    const same = looksSame(dir, item, there);
    if (same && input.rule === 'if-changed') return 1;
    if (same && (input.rule === 'resume' || input.verify)) {
      if (item.type !== 'file') return 1;
      if (item.refs === undefined) return 2;
      if (contentIsRight(dir, item, item.refs, identify)) return 1;
    }
    if (there.kind === 'dir') {
      if (!input.removeFolders) {
        throw new EdgeError('E_FAILED', 'a folder is in its place', {
          hint: 'Move it away, or restore with --delete.',
        });
      }
      removeTreeAt(dir, item.name);
    }
    return 0;
  }
};

function looksSame(dir: number, item: CheckItem, there: FileStat): boolean {
  if (there.kind !== item.type || there.mtimeNs !== item.mtimeNs) return false;
  if (item.type === 'file') return there.size === item.size;
  if (item.type === 'symlink') return bytesEqual(readLinkAt(dir, item.name), item.target ?? new Uint8Array(0));
  return true;
}

function contentIsRight(dir: number, item: CheckItem, refs: readonly ContentRef[], identify: Identify): boolean {
  const fd = openForReading(dir, item.name);
  try {
    if (statFd(fd).size !== item.size) return false;
    // After a write that failed, the kernel's memory may hold what the disk does not.
    wasRead(fd, 0, 0);
    const place = createContentLayout(item.size ?? 0, item.holes);
    return (
      refs.every((ref) => chunkIsThere(fd, ref, place(ref.length), identify)) && holesAreZero(fd, item.holes ?? [])
    );
  } catch (error) {
    if (errnoOf(error) === 'EACCES') return false;
    throw error;
  } finally {
    closeFd(fd);
  }
}

/** Whether the file has this chunk's bytes where they belong. */
export function chunkIsThere(fd: number, ref: ContentRef, segments: readonly Segment[], identify: Identify): boolean {
  const plain = Buffer.allocUnsafe(ref.length);
  for (const { to, from, length } of segments) {
    for (let done = 0; done < length; ) {
      const got = readSync(fd, plain, from + done, length - done, to + done);
      if (got === 0) return false;
      done += got;
    }
  }
  return bytesEqual(identify(ChunkKind.data, plain), ref.id);
}

/** A stopped run may have been one that was told other content; its bytes must not shine through the holes. */
function holesAreZero(fd: number, holes: readonly Hole[]): boolean {
  const block = Buffer.allocUnsafe(HOLE_BLOCK_BYTES);
  for (const hole of holes) {
    for (let done = 0; done < hole.length; ) {
      const got = readSync(fd, block, 0, Math.min(block.length, hole.length - done), hole.offset + done);
      if (got === 0) return false;
      for (let i = 0; i < got; i++) if (block[i] !== 0) return false;
      done += got;
    }
  }
  return true;
}

const HOLE_BLOCK_BYTES = 1024 * 1024;
