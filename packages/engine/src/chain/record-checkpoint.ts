/**
 * Record checkpoints (kind 9): everything that the records before them said and that still holds, in parts of one entry each, so that older records may
 * go. Field by field in `docs/formats/record.md`.
 */
import type { Sodium } from '../codec/sodium.ts';
import type { Zstd } from '../codec/zstd.ts';
import type { RandomBytes } from '../core/clock.ts';
import { EdgeError, formatError } from '../core/errors.ts';
import { MIB } from '../core/limits.ts';
import type { VaultKeys } from '../keys/vault-keys.ts';
import { readHash, readIncarnation, writeHash } from '../log/cbor-fields.ts';
import type { Settings, SnapshotBody } from '../log/record-body.ts';
import { RecordType, SHORT_TEXT_BYTES_MAX } from '../log/record-layout.ts';
import { readSettings, writeSettings } from '../log/settings-encoding.ts';
import { readSnapshot, writeSnapshot } from '../log/snapshot-encoding.ts';
import { CborReader } from '../tree/cbor-reader.ts';
import { CborWriter } from '../tree/cbor-writer.ts';
import { readKey } from '../tree/unknown-fields.ts';
import { type EntryHeader, EntryKind, entryError, placeAfter, positionOf, SEQ_LIMIT } from './entry-head.ts';
import { comparePlaces, type Link, type Position } from './position.ts';
import { sealEntry, type WholeEntry } from './record-entry.ts';
import { openBody } from './sealed-body.ts';

const WHAT = 'record checkpoint';
const Key = { part: 0, parts: 1, snapshots: 2, pins: 3, settings: 4 } as const;
/** Parts of one checkpoint. */
export const CHECKPOINT_PARTS_MAX = 65_536;
/** Plain bytes from which on a part is closed. */
const PART_BYTES_TARGET = 4 * MIB;

export interface CheckedSnapshot {
  readonly id: Link;
  readonly incarnation: number;
  readonly seq: number;
  readonly shard: number;
  /** Something that it reaches was given up. It never counts as whole again. */
  readonly damaged: boolean;
  readonly body: SnapshotBody;
}

export interface RecordCheckpoint {
  /** All snapshots of the trail that were not forgotten, by incarnation and seq. */
  readonly snapshots: readonly CheckedSnapshot[];
  readonly pins: readonly { readonly snapshot: Link; readonly reason: string }[];
  readonly settings: Settings | undefined;
}

/** One part: its place among the others, from 1, and its share of the content. */
export interface CheckpointPart extends RecordCheckpoint {
  readonly part: number;
  readonly parts: number;
}

/** The plaintexts of the parts, at least one. E_FAILED when snapshots are not in order, or a part would not read back. */
export function encodeRecordCheckpoint(checkpoint: RecordCheckpoint, partBytes = PART_BYTES_TARGET): Uint8Array[] {
  const shares = shareOut(checkpoint, partBytes);
  const bodies = shares.map((share, i) => writePart(share, i + 1, shares.length));
  try {
    decodeRecordCheckpoint(bodies);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new EdgeError('E_FAILED', `a record checkpoint cannot be written: ${why}`, { cause });
  }
  return bodies;
}

/** Puts the plaintexts of all parts together. E_FORMAT unless they are all there, in order. */
export function decodeRecordCheckpoint(bodies: readonly Uint8Array[]): RecordCheckpoint {
  return joinCheckpointParts(bodies.map(decodeCheckpointPart));
}

/** Reads one part. E_FORMAT, E_NEWER_FORMAT. */
export function decodeCheckpointPart(bytes: Uint8Array): CheckpointPart {
  const reader = new CborReader(bytes, WHAT);
  let last = -1;
  let part = 0;
  let parts = 0;
  let snapshots: CheckedSnapshot[] = [];
  let pins: CheckpointPart['pins'] = [];
  let settings: Settings | undefined;
  for (let pairs = reader.map(); pairs > 0; pairs--) {
    const key = readKey(reader, last, WHAT);
    last = key;
    if (key === Key.part) part = reader.uint(CHECKPOINT_PARTS_MAX);
    else if (key === Key.parts) parts = reader.uint(CHECKPOINT_PARTS_MAX);
    else if (key === Key.snapshots) snapshots = readSnapshots(reader);
    else if (key === Key.pins) pins = readPins(reader);
    else if (key === Key.settings) settings = readSettings(reader, WHAT);
    else reader.raw();
  }
  reader.end();
  if (part < 1 || part > parts) throw formatError(WHAT, `part ${part} of ${parts}`);
  return { part, parts, snapshots, pins, settings };
}

/** E_FORMAT unless these are all parts of one checkpoint, in order. */
export function joinCheckpointParts(parts: readonly CheckpointPart[]): RecordCheckpoint {
  const snapshots: CheckedSnapshot[] = [];
  const pins: RecordCheckpoint['pins'][number][] = [];
  let settings: Settings | undefined;
  if (parts.length === 0) throw formatError(WHAT, 'no parts');
  for (const [i, part] of parts.entries()) {
    if (part.part !== i + 1 || part.parts !== parts.length)
      throw formatError(WHAT, `part ${part.part} of ${part.parts} as ${i + 1} of ${parts.length}`);
    for (const snapshot of part.snapshots) {
      const before = snapshots.at(-1);
      if (before !== undefined && comparePlaces(before, snapshot) >= 0)
        throw formatError(WHAT, 'snapshots that are not in order');
      snapshots.push(snapshot);
    }
    pins.push(...part.pins);
    if (part.settings !== undefined && settings !== undefined) throw formatError(WHAT, 'settings in two parts');
    settings ??= part.settings;
  }
  return { snapshots, pins, settings };
}

export interface CheckpointInput {
  readonly writer: Pick<EntryHeader, 'vault' | 'agent' | 'incarnation'>;
  /** The entry that the first part follows. */
  readonly after: Position;
  readonly checkpoint: RecordCheckpoint;
  readonly keys: VaultKeys;
  readonly signSeed: Uint8Array;
  readonly random: RandomBytes;
  readonly zstd?: Zstd;
  readonly partBytes?: number;
}

/** The entries of a checkpoint. They are appended one directly after the other; the checkpoint is there with the last one. */
export function encodeCheckpointEntries(sodium: Sodium, input: CheckpointInput): WholeEntry[] {
  const { keys, signSeed, random, writer, zstd } = input;
  let after = input.after;
  return encodeRecordCheckpoint(input.checkpoint, input.partBytes).map((plain) => {
    const place = placeAfter(after, writer, { kind: EntryKind.recordCheckpoint, shard: 0, keyId: keys.currentKeyId });
    const random24 = random(24);
    const codec = zstd === undefined ? {} : { zstd };
    const entry = sealEntry(sodium, EntryKind.recordCheckpoint, {
      ...place,
      plain,
      keys,
      signSeed,
      random24,
      ...codec,
    });
    after = positionOf(entry.head);
    return entry;
  });
}

/** Opens a part whose signature the caller has verified. E_INTEGRITY, E_WRONG_KEY, E_FORMAT, E_NEWER_FORMAT. */
export function openCheckpointPart(
  sodium: Sodium,
  { head, body }: WholeEntry,
  keys: VaultKeys,
  zstd?: Zstd,
): CheckpointPart {
  if (head.header.kind !== EntryKind.recordCheckpoint)
    throw entryError(head.header, `kind ${head.header.kind} is not a record checkpoint`);
  return decodeCheckpointPart(openBody(sodium, head, body, keys, zstd));
}

interface Share {
  readonly snapshots: Uint8Array[];
  readonly pins: Uint8Array[];
  settings: Uint8Array | undefined;
  bytes: number;
}

function shareOut({ snapshots, pins, settings }: RecordCheckpoint, partBytes: number): Share[] {
  const newShare = (): Share => ({ snapshots: [], pins: [], settings: undefined, bytes: 0 });
  const shares = [newShare()];
  const roomFor = (bytes: Uint8Array): Share => {
    let share = shares.at(-1)!;
    if (share.bytes > 0 && share.bytes + bytes.length > partBytes) {
      share = newShare();
      shares.push(share);
    }
    share.bytes += bytes.length;
    return share;
  };
  if (settings !== undefined) {
    const writer = new CborWriter();
    writeSettings(writer, settings);
    const bytes = writer.take();
    roomFor(bytes).settings = bytes;
  }
  for (const snapshot of snapshots) {
    const bytes = encodeSnapshot(snapshot);
    roomFor(bytes).snapshots.push(bytes);
  }
  for (const { snapshot, reason } of pins) {
    const writer = new CborWriter();
    writeHash(writer.array(2), snapshot);
    const bytes = writer.text(reason).take();
    roomFor(bytes).pins.push(bytes);
  }
  return shares;
}

function encodeSnapshot({ id, incarnation, seq, shard, damaged, body }: CheckedSnapshot): Uint8Array {
  const writer = new CborWriter();
  writeHash(writer.array(6), id);
  writer.int(incarnation).int(seq).int(shard).bool(damaged);
  writeSnapshot(writer, body);
  return writer.take();
}

function writePart({ snapshots, pins, settings }: Share, part: number, parts: number): Uint8Array {
  const writer = new CborWriter().map(settings === undefined ? 4 : 5);
  writer.int(Key.part).int(part).int(Key.parts).int(parts);
  writer.int(Key.snapshots).array(snapshots.length);
  for (const bytes of snapshots) writer.raw(bytes);
  writer.int(Key.pins).array(pins.length);
  for (const bytes of pins) writer.raw(bytes);
  if (settings !== undefined) writer.int(Key.settings).raw(settings);
  return writer.take();
}

function readSnapshots(reader: CborReader): CheckedSnapshot[] {
  const count = reader.array();
  const snapshots: CheckedSnapshot[] = [];
  for (let i = 0; i < count; i++) {
    if (reader.array(6) !== 6) throw reader.error('a snapshot of a checkpoint has six parts');
    const id = readHash(reader);
    const incarnation = readIncarnation(reader);
    const seq = reader.uint(SEQ_LIMIT - 1);
    const shard = reader.uint(0xffff_ffff);
    const damaged = reader.bool();
    if (incarnation < 1 || shard < 1) throw reader.error('a snapshot without incarnation or shard');
    const pairs = reader.map();
    if (pairs === 0 || readKey(reader, -1, WHAT) !== 0 || reader.uint() !== RecordType.snapshot)
      throw reader.error('not a snapshot');
    snapshots.push({ id, incarnation, seq, shard, damaged, body: readSnapshot(reader, pairs - 1, WHAT) });
  }
  return snapshots;
}

function readPins(reader: CborReader): CheckpointPart['pins'] {
  const count = reader.array();
  const pins = [];
  for (let i = 0; i < count; i++) {
    if (reader.array(2) !== 2) throw reader.error('a pin is a snapshot and a reason');
    pins.push({ snapshot: readHash(reader), reason: reader.text(SHORT_TEXT_BYTES_MAX) });
  }
  return pins;
}
