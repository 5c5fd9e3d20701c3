/** Content references: 36 bytes each, inline in an entry or in chunks of kind `list`. */
import { ByteReader } from '../core/bytes.ts';
import { formatError, newerFormatError } from '../core/errors.ts';
import { INLINE_CONTENT_REFS_MAX, LIST_CHUNK_REFS_MAX } from '../core/limits.ts';
import { copyOf } from './cbor-reader.ts';
import { refsProblem } from './check-entry.ts';
import type { ContentRef } from './entry.ts';
import { REF_BYTES } from './entry-layout.ts';

const LIST_MAGIC = Buffer.from('ELST', 'latin1');
const LIST_VERSION = 1;
/** Magic, version, reserved, critical and optional features. */
export const LIST_HEADER_BYTES = 16;
/** A list is not cut before it has so many references. */
const LIST_REFS_MIN = LIST_CHUNK_REFS_MAX / 4;
/** One reference in 4096 may end a list, so that lists have 8192 references on average. */
const LIST_CUT_MASK = 0xfff;

/** How a file's references are kept: inline, or as the plaintexts of list chunks, which the caller seals and refers to as `Content.lists`. */
export type EncodedContent =
  | { readonly form: 'inline'; readonly refs: readonly ContentRef[] }
  | { readonly form: 'lists'; readonly lists: readonly Uint8Array[] };

/**
 * Decides where a file's references go. Lists are cut where a chunk id says so, not at fixed counts: an insertion into a huge file changes one or
 * two of its lists and leaves the others shared.
 */
export function encodeContent(refs: readonly ContentRef[]): EncodedContent {
  if (refs.length <= INLINE_CONTENT_REFS_MAX) return { form: 'inline', refs };
  const lists: Uint8Array[] = [];
  let start = 0;
  for (let i = 0; i < refs.length; i++) {
    const count = i + 1 - start;
    const { id } = refs[i]!;
    const mayCut = count >= LIST_REFS_MIN && (((id[1]! << 8) | id[0]!) & LIST_CUT_MASK) === 0;
    if (mayCut || count === LIST_CHUNK_REFS_MAX || i === refs.length - 1) {
      lists.push(encodeList(refs.slice(start, i + 1)));
      start = i + 1;
    }
  }
  return { form: 'lists', lists };
}

/** The plaintext of one list chunk. */
export function encodeList(refs: readonly ContentRef[]): Uint8Array {
  const header = Buffer.alloc(LIST_HEADER_BYTES);
  header.set(LIST_MAGIC, 0);
  header.writeUInt16LE(LIST_VERSION, 4);
  return Buffer.concat([header, encodeRefs(refs)]);
}

/** Reads the plaintext of a list chunk: 1 to LIST_CHUNK_REFS_MAX references. E_FORMAT, E_NEWER_FORMAT. */
export function decodeList(bytes: Uint8Array): ContentRef[] {
  const what = 'content list';
  const reader = new ByteReader(bytes, what);
  reader.magic(LIST_MAGIC);
  const version = reader.u16();
  if (version > LIST_VERSION) throw newerFormatError(what, `version ${version}`);
  if (version < 1 || reader.u16() !== 0) throw formatError(what, 'a header that cannot be');
  const critical = reader.u32();
  if (critical !== 0) throw newerFormatError(what, `critical features 0x${critical.toString(16)}`);
  reader.u32();
  const count = reader.remaining / REF_BYTES;
  if (count < 1 || count > LIST_CHUNK_REFS_MAX) throw formatError(what, `${reader.remaining} bytes of references`);
  return decodeRefs(reader.bytes(reader.remaining), what);
}

/** The references one after the other: id ‖ length u32, little-endian. */
export function encodeRefs(refs: readonly ContentRef[]): Uint8Array {
  const out = new Uint8Array(refs.length * REF_BYTES);
  let at = 0;
  for (const { id, length } of refs) {
    out.set(id, at);
    out[at + 32] = length;
    out[at + 33] = length >>> 8;
    out[at + 34] = length >>> 16;
    out[at + 35] = length >>> 24;
    at += REF_BYTES;
  }
  return out;
}

/** Reads references; ids are copies. E_FORMAT for a length that is no multiple of 36 and for lengths that no chunk has. */
export function decodeRefs(bytes: Uint8Array, what: string): ContentRef[] {
  if (bytes.length % REF_BYTES !== 0) throw formatError(what, `${bytes.length} bytes of references`);
  const refs: ContentRef[] = new Array(bytes.length / REF_BYTES);
  for (let i = 0, at = 0; i < refs.length; i++, at += REF_BYTES) {
    const word = at + 32;
    const length = (bytes[word]! | (bytes[word + 1]! << 8) | (bytes[word + 2]! << 16) | (bytes[word + 3]! << 24)) >>> 0;
    refs[i] = { id: copyOf(bytes, at, word), length };
  }
  const problem = refsProblem(refs);
  if (problem !== undefined) throw formatError(what, problem);
  return refs;
}
