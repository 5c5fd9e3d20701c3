/**
 * Entries one after the other, each behind its length: chain files on disk and segments in a bucket. Byte by byte in `docs/formats/chain-segment.md`.
 */
import { createHash } from 'node:crypto';
import { concatBytes } from '../core/bytes.ts';
import { EdgeError, formatError, isEdgeError } from '../core/errors.ts';
import type { AgentId } from '../core/ids.ts';
import { frameItem, type ItemFormat, splitItems } from '../log/split-items.ts';
import {
  CHAIN_MAGIC,
  decodeHead,
  ENTRY_BODY_BYTES_MAX,
  HEAD_BYTES,
  isHoldKind,
  requireBody,
  type SignedHead,
} from './entry-head.ts';
import type { WholeEntry } from './record-entry.ts';

const WHAT = 'chain segment';

/** An entry of a chain file: bodies of hold entries may be elsewhere, or not here. */
export interface ChainItem {
  readonly head: SignedHead;
  readonly body: Uint8Array | undefined;
}

/** How items of a chain file are told from damage: head and body digest fit. Signatures and links are the caller's. */
export const CHAIN_ITEM_FORMAT: ItemFormat = {
  magic: CHAIN_MAGIC,
  bytesMax: HEAD_BYTES + ENTRY_BODY_BYTES_MAX,
  check: checkItem,
};

/** The same for a bucket, where every entry has its body. */
const SEGMENT_ITEM_FORMAT: ItemFormat = {
  ...CHAIN_ITEM_FORMAT,
  check: (item) => {
    if (checkItem(item).body === undefined) throw formatError(WHAT, 'an entry without its body');
  },
};

export interface DecodedSegment {
  /** Whole entries in order; their framing and body digests are checked, their signatures and links are not. */
  readonly entries: readonly WholeEntry[];
  /** Ranges that hold no whole entry although whole ones follow. */
  readonly damaged: readonly { readonly offset: number; readonly length: number }[];
  /** Where an unfinished entry begins at the end. In a bucket that is damage too, as a segment is put whole. */
  readonly tornAt?: number;
}

/** One item of a chain file, its length before it. */
export function encodeChainItem({ head, body }: ChainItem): Uint8Array {
  if (body === undefined && !isHoldKind(head.header.kind))
    throw new EdgeError('E_FAILED', `an entry of kind ${head.header.kind} is stored with its body`);
  return frameItem(body === undefined ? head.bytes : concatBytes([head.bytes, body]));
}

/** The entry of an item without its length. E_FORMAT, E_NEWER_FORMAT; the body's digest is checked. */
export function decodeChainItem(item: Uint8Array): ChainItem {
  return checkItem(item);
}

/** The segment of these entries. E_FAILED unless they are of one incarnation and follow one another. */
export function encodeChainSegment(entries: readonly WholeEntry[]): Uint8Array {
  entries.forEach(({ head, body }, i) => {
    requireBody(head, body);
    const before = entries[i - 1]?.head;
    if (before === undefined) return;
    if (head.header.previous !== before.link || head.header.incarnation !== before.header.incarnation)
      throw new EdgeError('E_FAILED', `entry ${head.header.seq} does not follow the one before it in its segment`);
  });
  if (entries.length === 0) throw new EdgeError('E_FAILED', 'a segment without entries');
  return concatBytes(entries.map(encodeChainItem));
}

/** Takes a segment apart; never throws E_FORMAT, as any part may be damaged. E_NEWER_FORMAT for an entry of a later version. */
export function decodeChainSegment(bytes: Uint8Array): DecodedSegment {
  const { items, ...rest } = splitItems(bytes, SEGMENT_ITEM_FORMAT);
  return { entries: items.map((item) => decodeChainItem(item) as WholeEntry), ...rest };
}

/** Which entries a segment of a bucket has, as its key says. */
export interface SegmentKey {
  readonly agent: AgentId;
  readonly incarnation: number;
  readonly first: number;
  readonly last: number;
  /** The first 16 hex digits of the SHA-256 of the segment. */
  readonly sha256: string;
}

/**
 * `<agent>/log/<incarnation>-<last>-<first>-<sha256>.seg`, below the vault's prefix. The last seq stands before the first, so that one listing from a
 * place on shows every segment that reaches it, merged ones too.
 */
export function formatSegmentKey({ agent, incarnation, first, last, sha256 }: SegmentKey): string {
  return `${agent}/log/${digits(incarnation, 8)}-${digits(last, 16)}-${digits(first, 16)}-${sha256.slice(0, 16)}.seg`;
}

/** The key of a segment's bytes. */
export function segmentKey(entries: readonly WholeEntry[], bytes: Uint8Array): SegmentKey {
  const { agent, incarnation, seq: first } = entries[0]!.head.header;
  const last = entries.at(-1)!.head.header.seq;
  return { agent, incarnation, first, last, sha256: createHash('sha256').update(bytes).digest('hex').slice(0, 16) };
}

/** Every segment with an entry at or behind this place sorts at or behind this key. */
export function segmentKeyFrom(agent: AgentId, incarnation: number, seq: number): string {
  return `${agent}/log/${digits(incarnation, 8)}-${digits(seq, 16)}`;
}

/** Undefined for a key that is not a segment's. */
export function parseSegmentKey(key: string): SegmentKey | undefined {
  const match = /^([0-9a-f]{32})\/log\/([0-9a-f]{8})-([0-9a-f]{16})-([0-9a-f]{16})-([0-9a-f]{16})\.seg$/.exec(key);
  if (match === null) return undefined;
  const [, agent, incarnation, last, first, sha256] = match as unknown as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  const parsed = {
    agent,
    incarnation: Number.parseInt(incarnation, 16),
    last: Number.parseInt(last, 16),
    first: Number.parseInt(first, 16),
    sha256,
  };
  return parsed.incarnation >= 1 && parsed.first >= 1 && parsed.first <= parsed.last && parsed.last < 2 ** 48
    ? parsed
    : undefined;
}

/**
 * Entries of a segment that its key vouches for. E_INTEGRITY for other bytes, or other entries than the key says; E_NEWER_FORMAT for entries of a later
 * version. The digest is compared first, so that a flipped bit is not taken for a later version.
 */
export function requireSegment(key: SegmentKey, bytes: Uint8Array): readonly WholeEntry[] {
  const name = formatSegmentKey(key);
  if (createHash('sha256').update(bytes).digest('hex').slice(0, 16) !== key.sha256)
    throw new EdgeError('E_INTEGRITY', `the segment ${name} is damaged`, { context: { key: name } });
  const { entries, damaged, tornAt } = decodeChainSegment(bytes);
  if (damaged.length > 0 || tornAt !== undefined || entries.length === 0)
    throw new EdgeError('E_INTEGRITY', `the segment ${name} was written with damage`, { context: { key: name } });
  if (formatSegmentKey(segmentKey(entries, bytes)) !== name)
    throw new EdgeError('E_INTEGRITY', `the segment ${name} has other entries than its key says`, {
      context: { key: name },
    });
  return entries;
}

function checkItem(item: Uint8Array): ChainItem {
  if (item.length < HEAD_BYTES) throw formatError(WHAT, `an item of ${item.length} bytes`);
  const head = decodeHead(item.subarray(0, HEAD_BYTES));
  if (item.length === HEAD_BYTES) {
    if (!isHoldKind(head.header.kind)) throw formatError(WHAT, `kind ${head.header.kind} without its body`);
    return { head, body: undefined };
  }
  const body = item.subarray(HEAD_BYTES);
  try {
    requireBody(head, body);
  } catch (error) {
    // For framing, a body of another digest is as little an item as a header that does not decode.
    if (isEdgeError(error, 'E_INTEGRITY')) throw formatError(WHAT, error.message);
    throw error;
  }
  return { head, body };
}

function digits(value: number, width: number): string {
  return value.toString(16).padStart(width, '0');
}
