import { newerFormatError } from '../core/errors.ts';
import type { ChunkId } from '../core/ids.ts';
import { INLINE_CONTENT_REFS_MAX, NAME_BYTES_MAX } from '../core/limits.ts';
import { CborReader, copyOf } from './cbor-reader.ts';
import { checkEntry } from './check-entry.ts';
import { decodeRefs } from './content-list.ts';
import type { Content, ContentRef, Entry, EntryType, Hole, PosixMeta, Xattr } from './entry.ts';
import {
  ENTRY_KEY_MAX,
  EntryKey,
  HARD_LINK_BYTES,
  ID_BYTES,
  POSIX_KEY_MAX,
  PosixKey,
  REF_BYTES,
  TARGET_BYTES_MAX,
  TYPES,
  UINT32_MAX,
  UNKNOWN_FIELDS_MAX,
  XATTR_NAME_BYTES_MAX,
} from './entry-layout.ts';
import { joinTime } from './split-time.ts';
import { readKey, type UnknownField } from './unknown-fields.ts';

/** Reads one encoded entry. `isRoot` for the root entry of a snapshot. E_FORMAT, E_NEWER_FORMAT. */
export function decodeEntry(bytes: Uint8Array, isRoot = false): Entry {
  const reader = new CborReader(bytes, 'tree entry');
  const entry = readEntry(reader, isRoot, 'tree entry');
  reader.end();
  return entry;
}

/** Reads the entry that the reader stands at. Locals instead of a growing object: this is the inner loop of every restore. */
export function readEntry(reader: CborReader, isRoot: boolean, what: string): Entry {
  let name: Uint8Array | undefined;
  let type: EntryType | undefined;
  let seconds: number | undefined;
  let nanos: number | undefined;
  let posix: PosixMeta | undefined;
  let size: number | undefined;
  let content: Content | undefined;
  let holes: readonly Hole[] | undefined;
  let target: Uint8Array | undefined;
  let pages: readonly ChunkId[] | undefined;
  let hardLink: Uint8Array | undefined;
  let changedWhileRead = false;
  let unknown: UnknownField[] | undefined;
  let last = -1;
  for (let pairs = reader.map(ENTRY_KEY_MAX + 1 + UNKNOWN_FIELDS_MAX); pairs > 0; pairs--) {
    const key = readKey(reader, last, what);
    last = key;
    switch (key) {
      case EntryKey.name:
        name = reader.bytes(NAME_BYTES_MAX);
        break;
      case EntryKey.type:
        type = readType(reader, what);
        break;
      case EntryKey.mtimeSeconds:
        seconds = reader.int();
        break;
      case EntryKey.mtimeNanos:
        nanos = reader.uint(999_999_999);
        break;
      case EntryKey.posix:
        posix = readPosix(reader, what);
        break;
      case EntryKey.size:
        size = reader.uint();
        break;
      case EntryKey.inline:
        content = { form: 'inline', refs: readRefs(reader, INLINE_CONTENT_REFS_MAX, what) };
        break;
      case EntryKey.lists:
        if (content !== undefined) throw reader.error('inline content and content lists in one entry');
        content = { form: 'lists', lists: readRefs(reader, Number.MAX_SAFE_INTEGER, what) };
        break;
      case EntryKey.holes:
        holes = readHoles(reader);
        break;
      case EntryKey.target:
        target = reader.bytes(TARGET_BYTES_MAX);
        break;
      case EntryKey.pages:
        pages = readIds(reader);
        break;
      case EntryKey.hardLink:
        hardLink = reader.bytes(HARD_LINK_BYTES);
        break;
      case EntryKey.changedWhileRead:
        if (!reader.bool()) throw reader.error('a flag that is false is left out');
        changedWhileRead = true;
        break;
      default:
        unknown ??= [];
        unknown.push({ key, value: reader.raw() });
    }
  }
  if (name === undefined || type === undefined || seconds === undefined || nanos === undefined || posix === undefined) {
    throw reader.error('an entry without name, type, time or mode');
  }
  if (type === 'file') content ??= { form: 'inline', refs: [] };
  if (type === 'dir') pages ??= [];
  const entry: Mutable<Entry> = { name, type, mtimeNs: joinTime(seconds, nanos), posix };
  if (size !== undefined) entry.size = size;
  if (content !== undefined) entry.content = content;
  if (holes !== undefined) entry.holes = holes;
  if (target !== undefined) entry.target = target;
  if (pages !== undefined) entry.pages = pages;
  if (hardLink !== undefined) entry.hardLink = hardLink;
  if (changedWhileRead) entry.changedWhileRead = true;
  if (unknown !== undefined) entry.unknown = unknown;
  const problem = checkEntry(entry, isRoot);
  if (problem !== undefined) throw reader.error(problem);
  return entry;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

function readType(reader: CborReader, what: string): EntryType {
  const code = reader.uint();
  const type = TYPES[code];
  if (type === undefined)
    throw code === 0 ? reader.error('entry type 0') : newerFormatError(what, `entry type ${code}`);
  return type;
}

function readPosix(reader: CborReader, what: string): PosixMeta {
  let mode: number | undefined;
  let uid: number | undefined;
  let gid: number | undefined;
  let rdev: PosixMeta['rdev'];
  let xattrs: Xattr[] | undefined;
  let unknown: UnknownField[] | undefined;
  let last = -1;
  for (let pairs = reader.map(POSIX_KEY_MAX + 1 + UNKNOWN_FIELDS_MAX); pairs > 0; pairs--) {
    const key = readKey(reader, last, what);
    last = key;
    switch (key) {
      case PosixKey.mode:
        mode = reader.uint(0o7777);
        break;
      case PosixKey.uid:
        uid = reader.uint(UINT32_MAX);
        break;
      case PosixKey.gid:
        gid = reader.uint(UINT32_MAX);
        break;
      case PosixKey.rdev:
        if (reader.array(2) !== 2) throw reader.error('device numbers are two');
        rdev = { major: reader.uint(UINT32_MAX), minor: reader.uint(UINT32_MAX) };
        break;
      case PosixKey.xattrs:
        xattrs = readXattrs(reader);
        break;
      default:
        unknown ??= [];
        unknown.push({ key, value: reader.raw() });
    }
  }
  if (mode === undefined || uid === undefined || gid === undefined)
    throw reader.error('an entry without mode or owner');
  const meta: Mutable<PosixMeta> = { mode, uid, gid };
  if (rdev !== undefined) meta.rdev = rdev;
  if (xattrs !== undefined) meta.xattrs = xattrs;
  if (unknown !== undefined) meta.unknown = unknown;
  return meta;
}

function readRefs(reader: CborReader, max: number, what: string): ContentRef[] {
  const packed = filled(reader, reader.view(max * REF_BYTES));
  return decodeRefs(packed, what);
}

function readXattrs(reader: CborReader): Xattr[] {
  const count = reader.array();
  const xattrs: Xattr[] = [];
  for (let i = 0; i < count; i++) {
    if (reader.array(2) !== 2) throw reader.error('an extended attribute is a name and a value');
    xattrs.push({ name: reader.bytes(XATTR_NAME_BYTES_MAX), value: reader.bytes() });
  }
  return xattrs;
}

function readHoles(reader: CborReader): Hole[] {
  const numbers = reader.array();
  if (numbers % 2 !== 0) throw reader.error('a hole is an offset and a length');
  const holes: Hole[] = [];
  for (let i = 0; i < numbers; i += 2) holes.push({ offset: reader.uint(), length: reader.uint() });
  return holes;
}

function readIds(reader: CborReader): ChunkId[] {
  const packed = filled(reader, reader.view());
  if (packed.length % ID_BYTES !== 0) throw reader.error('page ids have 32 bytes each');
  return Array.from({ length: packed.length / ID_BYTES }, (_, i) => copyOf(packed, i * ID_BYTES, (i + 1) * ID_BYTES));
}

/** Empty lists are left out when written, so that one folder has one encoding. */
function filled(reader: CborReader, packed: Uint8Array): Uint8Array {
  if (packed.length === 0) throw reader.error('an empty list of ids');
  return packed;
}
