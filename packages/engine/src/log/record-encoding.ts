import { EdgeError, newerFormatError } from '../core/errors.ts';
import type { RecordHash } from '../core/ids.ts';
import { CborReader } from '../tree/cbor-reader.ts';
import { CborWriter } from '../tree/cbor-writer.ts';
import { readKey } from '../tree/unknown-fields.ts';
import { readHash, writeHash } from './cbor-fields.ts';
import type { RecordBody } from './record-body.ts';
import { DAMAGED_SNAPSHOTS_MAX, RecordType, SHORT_TEXT_BYTES_MAX } from './record-layout.ts';
import { readSettings, writeSettings } from './settings-encoding.ts';
import { readSnapshot, writeSnapshot } from './snapshot-encoding.ts';

const WHAT = 'record body';

/**
 * The deterministic CBOR of a record's body: one map whose key 0 is the type (docs/formats/record.md). E_FAILED for a body that no reader would take:
 * a chain cannot be mended once it is signed.
 */
export function encodeRecordBody(body: RecordBody): Uint8Array {
  const bytes = write(body);
  try {
    decodeRecordBody(bytes);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new EdgeError('E_FAILED', `a record cannot be written: ${why}`, { cause });
  }
  return bytes;
}

/** Reads a body. E_FORMAT; E_NEWER_FORMAT for a type or critical field of a later version. */
export function decodeRecordBody(bytes: Uint8Array): RecordBody {
  const reader = new CborReader(bytes, WHAT);
  const pairs = reader.map();
  if (pairs === 0 || readKey(reader, -1, WHAT) !== 0) throw reader.error('a body without type');
  const body = readTyped(reader, reader.uint(), pairs - 1);
  reader.end();
  return body;
}

function write(body: RecordBody): Uint8Array {
  const writer = new CborWriter();
  switch (body.type) {
    case 'snapshot':
      writeSnapshot(writer, body);
      break;
    case 'forget':
    case 'unpin':
      writeHash(writer.map(2).int(0).int(RecordType[body.type]).int(1), body.snapshot);
      break;
    case 'pin':
      writeHash(writer.map(3).int(0).int(RecordType.pin).int(1), body.snapshot);
      writer.int(2).text(body.reason);
      break;
    case 'settings':
      writeSettings(writer.map(2).int(0).int(RecordType.settings).int(1), body.settings);
      break;
    case 'damaged':
      writer.map(2).int(0).int(RecordType.damaged).int(1).array(body.snapshots.length);
      for (const snapshot of body.snapshots) writeHash(writer, snapshot);
      break;
  }
  return writer.take();
}

function readTyped(reader: CborReader, type: number, pairs: number): RecordBody {
  switch (type) {
    case RecordType.snapshot:
      return readSnapshot(reader, pairs, WHAT);
    case RecordType.forget:
      return { type: 'forget', snapshot: readOnly(reader, pairs, () => readHash(reader)) };
    case RecordType.unpin:
      return { type: 'unpin', snapshot: readOnly(reader, pairs, () => readHash(reader)) };
    case RecordType.settings:
      return { type: 'settings', settings: readOnly(reader, pairs, () => readSettings(reader, WHAT)) };
    case RecordType.damaged:
      return { type: 'damaged', snapshots: readOnly(reader, pairs, () => readLinks(reader)) };
    case RecordType.pin: {
      const [snapshot, reason] = readFields(reader, pairs, [
        () => readHash(reader),
        () => reader.text(SHORT_TEXT_BYTES_MAX),
      ]);
      return { type: 'pin', snapshot: snapshot as string, reason: reason as string };
    }
    default:
      throw type === 0 ? reader.error('body type 0') : newerFormatError(WHAT, `type ${type}`);
  }
}

function readLinks(reader: CborReader): RecordHash[] {
  const count = reader.array(DAMAGED_SNAPSHOTS_MAX);
  if (count === 0) throw reader.error('a damaged record without snapshots');
  return Array.from({ length: count }, () => readHash(reader));
}

function readOnly<Value>(reader: CborReader, pairs: number, read: () => Value): Value {
  return readFields(reader, pairs, [read])[0] as Value;
}

/** Reads fields 1, 2, …, all of which are there. Optional fields of later versions are skipped, because these bodies are never written again. */
function readFields(reader: CborReader, pairs: number, reads: readonly (() => unknown)[]): unknown[] {
  const values: unknown[] = [];
  let last = 0;
  for (let i = 0; i < pairs; i++) {
    last = readKey(reader, last, WHAT);
    const read = reads[last - 1];
    if (read === undefined) reader.raw();
    else values[last - 1] = read();
  }
  for (let i = 0; i < reads.length; i++) if (values[i] === undefined) throw reader.error(`field ${i + 1} is missing`);
  return values;
}
