/**
 * Files that only grow: logs and hold logs. An item is written with one call and synced before it counts; a crash can leave an unfinished item at
 * the end and nowhere else, so anything unreadable elsewhere is damage and is never cut off.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EdgeError, errnoOf, toEdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { syncFolder, writeFileDurably, writeFully } from './durable-write.ts';

export interface AppendFileFormat {
  /** For messages: `log`, `hold log`. */
  readonly what: string;
  /** What to do about damage, one or two sentences. */
  readonly damageHint: string;
  readonly magic: Uint8Array;
  readonly itemBytesMax: number;
  /** Takes the items apart, as `splitItems` does. */
  readonly split: (bytes: Uint8Array) => {
    readonly items: readonly Uint8Array[];
    readonly damaged: readonly { readonly offset: number; readonly length: number }[];
    readonly tornAt?: number;
  };
  /** The length that an item's first bytes claim for the whole of it; undefined when there are too few of them. */
  readonly claimedBytes: (start: Uint8Array) => number | undefined;
}

/** An item with the offset of its length field in the file. */
export interface PlacedItem {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export interface ScannedFile {
  readonly items: readonly PlacedItem[];
  readonly damaged: readonly { readonly offset: number; readonly length: number }[];
  /** Where the next item goes: just behind the last whole one. */
  readonly end: number;
  /** Of the whole file, which may be less than where reading was to begin. */
  readonly size: number;
  /** Bytes behind it that are no whole item, and what they look like. */
  readonly rest: { readonly bytes: Uint8Array; readonly isTorn: boolean } | undefined;
}

const LENGTH_BYTES = 4;
/** Random bytes do not have such a run, blocks that never reached the disk do. */
const ZERO_RUN = Buffer.alloc(128);

/** Reads a file from an item's beginning on. Undefined when it is not there. */
export async function scanAppendFile(
  path: string,
  format: AppendFileFormat,
  from = 0,
): Promise<ScannedFile | undefined> {
  const read = await readFrom(path, from);
  if (read === undefined) return undefined;
  const { bytes } = read;
  const { items, damaged, tornAt } = format.split(bytes);
  const end = tornAt ?? bytes.length;
  const rest = tornAt === undefined ? undefined : bytes.subarray(tornAt);
  return {
    items: items.map((item) => ({ offset: from + item.byteOffset - bytes.byteOffset - LENGTH_BYTES, bytes: item })),
    damaged: damaged.map(({ offset, length }) => ({ offset: from + offset, length })),
    end: from + end,
    size: read.size,
    rest: rest === undefined ? undefined : { bytes: rest, isTorn: isTorn(rest, format) },
  };
}

/**
 * Appends one framed item at `end` and makes it durable, the file's name too when it is new. What a failed append left behind `end` is cut off
 * first: nobody was told of it. E_NO_SPACE, E_IO; then nothing was appended.
 */
export async function appendDurably(path: string, framed: Uint8Array, end: number): Promise<void> {
  try {
    const isNew = end === 0;
    const file = await open(path, isNew ? 'a+' : 'r+', 0o600).then(async (made) => {
      await made.close();
      return open(path, 'r+');
    });
    try {
      if (isNew) failpoint('append.created');
      const { size } = await file.stat();
      if (size < end) throw new EdgeError('E_INTEGRITY', `${path} is shorter (${size}) than it was (${end})`);
      if (size > end) await file.truncate(end);
      await appendOrTakeBack(file, framed, end);
    } finally {
      await file.close();
    }
    if (isNew) {
      await syncFolder(dirname(path));
      failpoint('append.folder-synced');
    }
  } catch (error) {
    throw toEdgeError(error, `appending to ${path}`);
  }
}

/** Keeps the unfinished end of a file beside it and cuts it off. Returns where it was put. */
export async function moveTornEndAside(path: string, end: number, rest: Uint8Array): Promise<string> {
  const aside = `${path}.torn-${end}`;
  if (rest.length > 0) await writeFileDurably(aside, rest);
  failpoint('append.torn-kept');
  try {
    const file = await open(path, 'r+');
    try {
      await file.truncate(end);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw toEdgeError(error, `cutting the unfinished end off ${path}`);
  }
  failpoint('append.torn-cut');
  return aside;
}

/** E_INTEGRITY that names the file and the offset. */
export function damagedFile(format: AppendFileFormat, path: string, offset: number, problem: string): EdgeError {
  return new EdgeError('E_INTEGRITY', `${format.what} ${path} is damaged at byte ${offset}: ${problem}`, {
    hint: format.damageHint,
    context: { path, offset },
  });
}

async function appendOrTakeBack(file: FileHandle, framed: Uint8Array, end: number): Promise<void> {
  try {
    await writeFully(file, framed, end);
    failpoint('append.written');
    await file.sync();
  } catch (error) {
    // If taking back fails as well, the next append or start does it; the first error is the one to report.
    await file.truncate(end).catch(() => {});
    throw error;
  }
  failpoint('append.synced');
}

/**
 * Whether the bytes can be what a crash left of an item being appended: its beginning, or all its length with blocks that never arrived. Anything
 * else was once whole, perhaps acknowledged, and must not be cut off.
 */
function isTorn(rest: Uint8Array, format: AppendFileFormat): boolean {
  const buffer = Buffer.from(rest.buffer, rest.byteOffset, rest.byteLength);
  if (buffer.length < LENGTH_BYTES || buffer.every((byte) => byte === 0)) return true;
  const length = buffer.readUInt32LE(0);
  if (length > format.itemBytesMax || length < format.magic.length) return false;
  const item = buffer.subarray(LENGTH_BYTES);
  if (item.length >= length) return item.length === length && item.includes(ZERO_RUN);
  const magic = Math.min(item.length, format.magic.length);
  if (item.includes(ZERO_RUN)) return true;
  if (!item.subarray(0, magic).equals(format.magic.subarray(0, magic))) return false;
  const claimed = format.claimedBytes(item);
  return claimed === undefined || claimed === length;
}

async function readFrom(path: string, from: number): Promise<{ bytes: Buffer; size: number } | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw toEdgeError(error, `reading ${path}`);
  }
  try {
    const { size } = await file.stat();
    const bytes = Buffer.allocUnsafe(Math.max(0, size - from));
    let done = 0;
    while (done < bytes.length) {
      const { bytesRead } = await file.read(bytes, done, bytes.length - done, from + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return { bytes: bytes.subarray(0, done), size };
  } catch (error) {
    throw toEdgeError(error, `reading ${path}`);
  } finally {
    await file.close();
  }
}
