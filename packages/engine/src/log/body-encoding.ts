import { EdgeError, newerFormatError } from '../core/errors.ts';
import { CborReader } from '../tree/cbor-reader.ts';
import { CborWriter } from '../tree/cbor-writer.ts';
import { readKey } from '../tree/unknown-fields.ts';
import { readHash, readHead, readIncarnation, writeHash, writeHead } from './cbor-fields.ts';
import type { CheckpointBody, RecordBody } from './record-body.ts';
import { BodyType, CARD_FIELD_BYTES_MAX, SHORT_TEXT_BYTES_MAX } from './record-layout.ts';
import { readSettings, writeSettings } from './settings-encoding.ts';
import { readSnapshot, writeSnapshot } from './snapshot-encoding.ts';

const WHAT = 'record body';

/** The deterministic CBOR of a record's body: one map whose key 0 is the type (docs/formats/record.md). */
export function encodeBody(body: RecordBody): Uint8Array {
  const writer = new CborWriter();
  switch (body.type) {
    case 'snapshot':
      writeSnapshot(writer, body);
      break;
    case 'forget':
    case 'unpin':
      writeHash(writer.map(2).int(0).int(BodyType[body.type]).int(1), body.snapshot);
      break;
    case 'pin':
      writeHash(writer.map(3).int(0).int(BodyType.pin).int(1), body.snapshot);
      writer.int(2).text(body.reason);
      break;
    case 'settings':
      writeSettings(writer.map(2).int(0).int(BodyType.settings).int(1), body.settings);
      break;
    case 'damaged':
      throw new EdgeError('E_FAILED', 'a damaged record belongs into the chain');
    case 'takeover':
      writer
        .map(body.base === undefined ? 2 : 3)
        .int(0)
        .int(BodyType.takeover)
        .int(1)
        .bytes(body.card);
      if (body.base !== undefined) writeHead(writer.int(2), body.base);
      break;
    case 'checkpoint':
      writeCheckpoint(writer, body.checkpoint);
      break;
  }
  return writer.take();
}

/** Reads a body. E_FORMAT; E_NEWER_FORMAT for a type or critical field of a later version. */
export function decodeBody(bytes: Uint8Array): RecordBody {
  const reader = new CborReader(bytes, WHAT);
  const pairs = reader.map();
  if (pairs === 0 || readKey(reader, -1, WHAT) !== 0) throw reader.error('a body without type');
  const body = readTyped(reader, reader.uint(), pairs - 1);
  reader.end();
  return body;
}

function readTyped(reader: CborReader, type: number, pairs: number): RecordBody {
  switch (type) {
    case BodyType.snapshot:
      return readSnapshot(reader, pairs, WHAT);
    case BodyType.forget:
      return { type: 'forget', snapshot: readOnly(reader, pairs, () => readHash(reader)) };
    case BodyType.unpin:
      return { type: 'unpin', snapshot: readOnly(reader, pairs, () => readHash(reader)) };
    case BodyType.settings:
      return { type: 'settings', settings: readOnly(reader, pairs, () => readSettings(reader, WHAT)) };
    case BodyType.pin:
      return readPin(reader, pairs);
    case BodyType.takeover:
      return readTakeover(reader, pairs);
    case BodyType.checkpoint:
      return { type: 'checkpoint', checkpoint: readCheckpoint(reader, pairs) };
    default:
      throw type === 0 ? reader.error('body type 0') : newerFormatError(WHAT, `type ${type}`);
  }
}

/** Reads the one field 1 of a body; later versions' optional fields behind it are skipped: these bodies are never written again. */
function readOnly<Value>(reader: CborReader, pairs: number, read: () => Value): Value {
  const values = readNumbered(reader, pairs, [read]);
  return values[0] as Value;
}

/** Reads fields 1, 2, … by the given readers; all must be there unless `optionalFrom` says otherwise. */
function readNumbered(
  reader: CborReader,
  pairs: number,
  reads: readonly (() => unknown)[],
  optionalFrom = reads.length,
): unknown[] {
  const values: unknown[] = [];
  let last = 0;
  for (let i = 0; i < pairs; i++) {
    const key = readKey(reader, last, WHAT);
    last = key;
    const read = reads[key - 1];
    if (read === undefined) reader.raw();
    else values[key - 1] = read();
  }
  for (let i = 0; i < optionalFrom; i++) if (values[i] === undefined) throw reader.error(`field ${i + 1} is missing`);
  return values;
}

function readPin(reader: CborReader, pairs: number): RecordBody {
  const [snapshot, reason] = readNumbered(reader, pairs, [
    () => readHash(reader),
    () => reader.text(SHORT_TEXT_BYTES_MAX),
  ]);
  return { type: 'pin', snapshot: snapshot as string, reason: reason as string };
}

function readTakeover(reader: CborReader, pairs: number): RecordBody {
  const reads = [() => reader.bytes(CARD_FIELD_BYTES_MAX), () => readHead(reader)];
  const [card, base] = readNumbered(reader, pairs, reads, 1);
  return { type: 'takeover', card: card as Uint8Array, base: base as ReturnType<typeof readHead> | undefined };
}

function writeCheckpoint(writer: CborWriter, { head, snapshots, pins, settings }: CheckpointBody): void {
  writer
    .map(settings === undefined ? 4 : 5)
    .int(0)
    .int(BodyType.checkpoint);
  writeHead(writer.int(1), head);
  writer.int(2).array(snapshots.length);
  for (const { id, incarnation, seq, body } of snapshots) {
    writeHash(writer.array(4), id);
    writer.int(incarnation).int(seq);
    writeSnapshot(writer, body);
  }
  writer.int(3).array(pins.length);
  for (const { snapshot, reason } of pins) {
    writeHash(writer.array(2), snapshot);
    writer.text(reason);
  }
  if (settings !== undefined) writeSettings(writer.int(4), settings);
}

function readCheckpoint(reader: CborReader, pairs: number): CheckpointBody {
  const reads = [
    () => readHead(reader),
    () => readSnapshots(reader),
    () => readPins(reader),
    () => readSettings(reader, WHAT),
  ];
  const [head, snapshots, pins, settings] = readNumbered(reader, pairs, reads, 3);
  return { head, snapshots, pins, settings } as CheckpointBody;
}

function readSnapshots(reader: CborReader): CheckpointBody['snapshots'] {
  const count = reader.array();
  const snapshots = [];
  for (let i = 0; i < count; i++) {
    if (reader.array(4) !== 4) throw reader.error('a snapshot of a checkpoint has four parts');
    const id = readHash(reader);
    const incarnation = readIncarnation(reader);
    const seq = reader.uint();
    const pairs = reader.map();
    if (pairs === 0 || readKey(reader, -1, WHAT) !== 0 || reader.uint() !== BodyType.snapshot)
      throw reader.error('no snapshot');
    snapshots.push({ id, incarnation, seq, body: readSnapshot(reader, pairs - 1, WHAT) });
  }
  return snapshots;
}

function readPins(reader: CborReader): CheckpointBody['pins'] {
  const count = reader.array();
  const pins = [];
  for (let i = 0; i < count; i++) {
    if (reader.array(2) !== 2) throw reader.error('a pin is a snapshot and a reason');
    pins.push({ snapshot: readHash(reader), reason: reader.text(SHORT_TEXT_BYTES_MAX) });
  }
  return pins;
}
