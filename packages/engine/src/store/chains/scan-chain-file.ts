/**
 * Takes a chain file apart: items `u32 length ‖ head 203 ‖ body or nothing`. A damaged item is a problem of its range only. Signatures and links are
 * checked by the caller.
 */
import {
  CHAIN_MAGIC,
  decodeHead,
  ENTRY_BODY_BYTES_MAX,
  HEAD_BYTES,
  requireBody,
  type SignedHead,
} from '../../chain/entry-head.ts';
import { isEdgeError } from '../../core/errors.ts';
import { FileWindow } from './file-window.ts';

export const LENGTH_BYTES = 4;
export const ITEM_BYTES_MAX = LENGTH_BYTES + HEAD_BYTES + ENTRY_BODY_BYTES_MAX;
/** Sealed bodies and digests do not have such a run of zeros. Blocks that never reached the disk do. */
const ZERO_RUN = Buffer.alloc(128);
const SEARCH_BYTES = 64 * 1024;

export interface ScannedEntry {
  readonly kind: 'entry';
  /** Of the item's length field. */
  readonly offset: number;
  readonly end: number;
  readonly head: SignedHead;
  /** Undefined where the file has the header only, or where the body is damaged. */
  readonly body: Uint8Array | undefined;
  readonly isBodyDamaged: boolean;
}

/** Bytes that are no entry although entries follow. */
export interface ScannedDamage {
  readonly kind: 'damage';
  readonly offset: number;
  readonly end: number;
  /** There is a run of zeros in it, as a power loss leaves behind the last fsync. */
  readonly hasZeros: boolean;
}

/** Bytes at the end that are no whole entry. */
export interface ScannedRest {
  readonly kind: 'rest';
  readonly offset: number;
  readonly end: number;
  /** They can be what a crash left of an entry that was being appended. */
  readonly isTorn: boolean;
}

export type ScannedPart = ScannedEntry | ScannedDamage | ScannedRest;

/**
 * Parts in order, from an item's beginning on; nothing for a file that is not there. An entry of a newer version ends the file: one that others follow is
 * a flipped bit. E_IO, E_NEWER_FORMAT.
 */
export async function* scanChainFile(path: string, from = 0): AsyncGenerator<ScannedPart> {
  const window = await FileWindow.open(path);
  if (window === undefined) return;
  try {
    for (let at = from; at < window.size; ) {
      const entry = await entryAt(window, at);
      if (entry !== undefined) {
        yield entry;
        at = entry.end;
        continue;
      }
      const next = await nextEntry(window, at);
      if (next === undefined) {
        await refuseNewer(window, at);
        yield { kind: 'rest', offset: at, end: window.size, isTorn: await isTorn(window, at) };
        return;
      }
      yield { kind: 'damage', offset: at, end: next, hasZeros: await hasZeroRun(window, at, next) };
      at = next;
    }
  } finally {
    await window.close();
  }
}

async function entryAt(window: FileWindow, at: number): Promise<ScannedEntry | undefined> {
  const start = await window.at(at, LENGTH_BYTES + HEAD_BYTES);
  if (start.length < LENGTH_BYTES + HEAD_BYTES) return undefined;
  const length = start.readUInt32LE(0);
  if (length < HEAD_BYTES || length > HEAD_BYTES + ENTRY_BODY_BYTES_MAX) return undefined;
  const head = headOf(start.subarray(LENGTH_BYTES));
  const end = at + LENGTH_BYTES + length;
  if (head === undefined || end > window.size) return undefined;
  if (length === HEAD_BYTES) return { kind: 'entry', offset: at, end, head, body: undefined, isBodyDamaged: false };
  if (length !== HEAD_BYTES + head.header.bodyBytes) return undefined;
  const body = new Uint8Array(await window.at(at + LENGTH_BYTES + HEAD_BYTES, length - HEAD_BYTES));
  const isBodyDamaged = !isBodyOf(head, body);
  return { kind: 'entry', offset: at, end, head, body: isBodyDamaged ? undefined : body, isBodyDamaged };
}

function headOf(bytes: Uint8Array): SignedHead | undefined {
  try {
    return decodeHead(bytes);
  } catch (error) {
    if (isEdgeError(error, 'E_FORMAT', 'E_NEWER_FORMAT')) return undefined;
    throw error;
  }
}

async function refuseNewer(window: FileWindow, at: number): Promise<void> {
  const start = await window.at(at, LENGTH_BYTES + HEAD_BYTES);
  if (start.length < LENGTH_BYTES + HEAD_BYTES) return;
  try {
    decodeHead(start.subarray(LENGTH_BYTES));
  } catch (error) {
    if (!isEdgeError(error, 'E_FORMAT')) throw error;
  }
}

function isBodyOf(head: SignedHead, body: Uint8Array): boolean {
  try {
    requireBody(head, body);
    return true;
  } catch (error) {
    if (isEdgeError(error, 'E_INTEGRITY')) return false;
    throw error;
  }
}

/** The next place behind `at` where a whole item stands, found by the magic bytes. */
async function nextEntry(window: FileWindow, at: number): Promise<number | undefined> {
  for (let from = at + 1 + LENGTH_BYTES; from < window.size; ) {
    const bytes = await window.at(from, SEARCH_BYTES);
    const found = bytes.indexOf(CHAIN_MAGIC);
    if (found === -1) {
      if (from + bytes.length >= window.size) return undefined;
      from += Math.max(1, bytes.length - CHAIN_MAGIC.length + 1);
      continue;
    }
    const start = from + found - LENGTH_BYTES;
    // A magic with a damaged body behind it is an entry too: its header has still to be looked at.
    if ((await entryAt(window, start)) !== undefined) return start;
    from += found + 1;
  }
  return undefined;
}

async function hasZeroRun(window: FileWindow, from: number, to: number): Promise<boolean> {
  for (let at = from; at < to; at += SEARCH_BYTES - ZERO_RUN.length)
    if ((await window.at(at, Math.min(SEARCH_BYTES, to - at))).includes(ZERO_RUN)) return true;
  return false;
}

async function isAllZero(window: FileWindow, from: number): Promise<boolean> {
  for (let at = from; at < window.size; at += SEARCH_BYTES)
    if (!(await window.at(at, SEARCH_BYTES)).every((byte) => byte === 0)) return false;
  return true;
}

/**
 * Whether the bytes can be what a crash left of an item that was being appended: its beginning, or all its length with blocks that never arrived.
 * Anything else was once whole, perhaps acknowledged, and must not be cut off.
 */
async function isTorn(window: FileWindow, from: number): Promise<boolean> {
  const left = window.size - from;
  const start = Buffer.from(await window.at(from, LENGTH_BYTES + HEAD_BYTES));
  if (left < LENGTH_BYTES || (await isAllZero(window, from))) return true;
  if (left > ITEM_BYTES_MAX) return false;
  const length = start.readUInt32LE(0);
  if (length > HEAD_BYTES + ENTRY_BODY_BYTES_MAX || length < HEAD_BYTES) return false;
  const item = left - LENGTH_BYTES;
  if (item > length) return false;
  if (await hasZeroRun(window, from, window.size)) return true;
  if (item === length) return false;
  const magic = start.subarray(LENGTH_BYTES, LENGTH_BYTES + CHAIN_MAGIC.length);
  if (!magic.equals(CHAIN_MAGIC.subarray(0, magic.length))) return false;
  if (item < HEAD_BYTES) return true;
  const head = headOf(start.subarray(LENGTH_BYTES));
  return head !== undefined && length === HEAD_BYTES + head.header.bodyBytes;
}
