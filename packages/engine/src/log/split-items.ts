/** Files that only grow: items one after the other, each behind its length (u32, little-endian). */
import { asBuffer } from '../core/bytes.ts';
import { isEdgeError } from '../core/errors.ts';

export interface ItemFormat {
  /** What every item begins with. */
  readonly magic: Uint8Array;
  readonly bytesMax: number;
  /** Throws E_FORMAT for bytes that are no item; they are exactly as long as claimed. */
  readonly check: (item: Uint8Array) => void;
}

export interface SplitItems {
  /** Whole items in order; views into the given bytes. */
  readonly items: readonly Uint8Array[];
  /** Ranges in the middle that hold no whole item: damage, as whole items follow. */
  readonly damaged: readonly { readonly offset: number; readonly length: number }[];
  /** Where an unfinished item begins at the end: a write that a crash cut off. Undefined when the file ends with a whole item. */
  readonly tornAt?: number;
}

const LENGTH_BYTES = 4;

/** One item with its length before it, ready to be appended. */
export function frameItem(item: Uint8Array): Uint8Array {
  const out = Buffer.allocUnsafe(LENGTH_BYTES + item.length);
  out.writeUInt32LE(item.length, 0);
  out.set(item, LENGTH_BYTES);
  return out;
}

/**
 * Takes the items apart. A crash leaves an unfinished item at the end and nowhere else, so what is unreadable with whole items behind it is reported
 * as damage and stepped over: acknowledged items behind a flipped bit are not taken for a torn end and cut off. E_NEWER_FORMAT passes through.
 */
export function splitItems(bytes: Uint8Array, format: ItemFormat): SplitItems {
  const items: Uint8Array[] = [];
  const damaged: { offset: number; length: number }[] = [];
  let at = 0;
  while (at < bytes.length) {
    const item = itemAt(bytes, at, format);
    if (item !== undefined) {
      items.push(item);
      at += LENGTH_BYTES + item.length;
      continue;
    }
    const next = nextItem(bytes, at, format);
    if (next === undefined) return { items, damaged, tornAt: at };
    damaged.push({ offset: at, length: next - at });
    at = next;
  }
  return { items, damaged };
}

function itemAt(bytes: Uint8Array, at: number, format: ItemFormat): Uint8Array | undefined {
  const left = bytes.length - at - LENGTH_BYTES;
  if (left < format.magic.length) return undefined;
  const length = asBuffer(bytes).readUInt32LE(at);
  if (length < format.magic.length || length > format.bytesMax || length > left) return undefined;
  const item = bytes.subarray(at + LENGTH_BYTES, at + LENGTH_BYTES + length);
  try {
    format.check(item);
    return item;
  } catch (error) {
    if (isEdgeError(error, 'E_FORMAT')) return undefined;
    throw error;
  }
}

/** The next place behind `at` where a whole item stands, found by the magic bytes. */
function nextItem(bytes: Uint8Array, at: number, format: ItemFormat): number | undefined {
  const buffer = asBuffer(bytes);
  for (let from = at + 1 + LENGTH_BYTES; ; ) {
    const magic = buffer.indexOf(format.magic, from);
    if (magic === -1) return undefined;
    if (itemAt(bytes, magic - LENGTH_BYTES, format) !== undefined) return magic - LENGTH_BYTES;
    from = magic + 1;
  }
}
