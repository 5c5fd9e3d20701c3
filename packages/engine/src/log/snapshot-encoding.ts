import type { CborReader } from '../tree/cbor-reader.ts';
import type { CborWriter } from '../tree/cbor-writer.ts';
import { compareNames } from '../tree/compare-names.ts';
import { readEntry } from '../tree/decode-entry.ts';
import { encodeEntry } from '../tree/encode-entry.ts';
import { UNKNOWN_FIELDS_MAX } from '../tree/entry-layout.ts';
import { joinTime, splitTime } from '../tree/split-time.ts';
import { readKey, type UnknownField, writeUnknownFields } from '../tree/unknown-fields.ts';
import { readHash, writeHash } from './cbor-fields.ts';
import type { SnapshotBody, SnapshotStats } from './record-body.ts';
import { PATH_BYTES_MAX, RecordType, ROOT_NAME_BYTES_MAX, SHORT_TEXT_BYTES_MAX, TAGS_MAX } from './record-layout.ts';

const Key = {
  type: 0,
  root: 1,
  path: 2,
  seconds: 3,
  nanos: 4,
  entry: 5,
  stats: 6,
  parent: 7,
  tags: 8,
  unfinished: 9,
  failed: 10,
  program: 11,
} as const;
const KEY_MAX = 11;

/** Writes a snapshot's body as one CBOR map, type included. */
export function writeSnapshot(writer: CborWriter, body: SnapshotBody): void {
  const { seconds, nanos } = splitTime(body.timeNs);
  const tags = Object.entries(body.tags ?? {});
  let pairs = 9 + (body.unknown?.length ?? 0);
  if (body.parent !== undefined) pairs++;
  if (tags.length > 0) pairs++;
  if (body.unfinished === true) pairs++;
  writer.map(pairs).int(Key.type).int(RecordType.snapshot).int(Key.root).text(body.root).int(Key.path).bytes(body.path);
  writer.int(Key.seconds).int(seconds).int(Key.nanos).int(nanos);
  writer.int(Key.entry).raw(encodeEntry(body.entry, true));
  const { files, dirs, others, bytes, newBytes, storedBytes } = body.stats;
  writer.int(Key.stats).array(6).int(files).int(dirs).int(others).int(bytes).int(newBytes).int(storedBytes);
  if (body.parent !== undefined) writeHash(writer.int(Key.parent), body.parent);
  if (tags.length > 0) writeTags(writer.int(Key.tags), tags);
  if (body.unfinished === true) writer.int(Key.unfinished).bool(true);
  writer.int(Key.failed).int(body.failed).int(Key.program).text(body.program);
  writeUnknownFields(writer, body.unknown);
}

/** Reads the rest of a snapshot's map, whose type was read already: `pairs` pairs are left. */
export function readSnapshot(reader: CborReader, pairs: number, what: string): SnapshotBody {
  const body: { -readonly [Name in keyof SnapshotBody]?: SnapshotBody[Name] } = {};
  let seconds: number | undefined;
  let nanos: number | undefined;
  let unknown: UnknownField[] | undefined;
  let last: number = Key.type;
  if (pairs > KEY_MAX + UNKNOWN_FIELDS_MAX) throw reader.error(`a snapshot of ${pairs} fields`);
  for (let i = 0; i < pairs; i++) {
    const key = readKey(reader, last, what);
    last = key;
    if (key === Key.root) body.root = reader.text(ROOT_NAME_BYTES_MAX);
    else if (key === Key.path) body.path = reader.bytes(PATH_BYTES_MAX);
    else if (key === Key.seconds) seconds = reader.int();
    else if (key === Key.nanos) nanos = reader.uint(999_999_999);
    else if (key === Key.entry) body.entry = readEntry(reader, true, what);
    else if (key === Key.stats) body.stats = readStats(reader);
    else if (key === Key.parent) body.parent = readHash(reader);
    else if (key === Key.tags) body.tags = readTags(reader);
    else if (key === Key.unfinished) body.unfinished = readTrue(reader);
    else if (key === Key.failed) body.failed = reader.uint();
    else if (key === Key.program) body.program = reader.text(SHORT_TEXT_BYTES_MAX);
    else {
      unknown ??= [];
      unknown.push({ key, value: reader.raw() });
    }
  }
  const { root, path, entry, stats, failed, program } = body;
  if (root === undefined || path === undefined || entry === undefined || stats === undefined)
    throw reader.error('a snapshot without root or tree');
  if (seconds === undefined || nanos === undefined || failed === undefined || program === undefined)
    throw reader.error('a snapshot without time or program');
  if (unknown !== undefined) body.unknown = unknown;
  const timeNs = joinTime(seconds, nanos);
  // Beyond 64 bits no index takes it, and each start would meet the entry again.
  if (BigInt.asIntN(64, timeNs) !== timeNs) throw reader.error('a snapshot with a time beyond 64 bits');
  return { ...body, type: 'snapshot', root, path, timeNs, entry, stats, failed, program };
}

function readTrue(reader: CborReader): boolean {
  if (!reader.bool()) throw reader.error('a flag that is false is left out');
  return true;
}

function readStats(reader: CborReader): SnapshotStats {
  if (reader.array(6) !== 6) throw reader.error('the counts of a snapshot are six');
  const [files, dirs, others] = [reader.uint(), reader.uint(), reader.uint()];
  return { files, dirs, others, bytes: reader.uint(), newBytes: reader.uint(), storedBytes: reader.uint() };
}

/** Keys in the order of their encoded bytes: the shorter first, then by bytes. */
function writeTags(writer: CborWriter, tags: readonly (readonly [string, string])[]): void {
  const sorted = tags.map(([name, value]) => ({ name, value, utf8: Buffer.from(name, 'utf8') }));
  sorted.sort((a, b) => a.utf8.length - b.utf8.length || compareNames(a.utf8, b.utf8));
  writer.map(sorted.length);
  for (const { name, value } of sorted) writer.text(name).text(value);
}

function readTags(reader: CborReader): Record<string, string> {
  const count = reader.map(TAGS_MAX);
  if (count === 0) throw reader.error('an empty map of tags');
  const tags: [string, string][] = [];
  let last: Buffer | undefined;
  for (let i = 0; i < count; i++) {
    const name = reader.text(SHORT_TEXT_BYTES_MAX);
    const utf8 = Buffer.from(name, 'utf8');
    if (last !== undefined && (last.length - utf8.length || compareNames(last, utf8)) >= 0)
      throw reader.error('tags are not in order');
    last = utf8;
    tags.push([name, reader.text(SHORT_TEXT_BYTES_MAX)]);
  }
  // Own properties even for names like __proto__.
  return Object.fromEntries(tags);
}
