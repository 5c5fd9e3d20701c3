import { ByteReader, ByteWriter } from '../core/bytes.ts';
import { formatError } from '../core/errors.ts';
import { fromHex, toHex } from '../core/ids.ts';
import type { Belief, BeliefIndex } from '../ports/beliefs.ts';
import type { Db } from './database.ts';

/** A statement of 1,024 shards with branch tips and backing is far below this; a list has 65,536 ids of 33 bytes at most. */
const PART_BYTES_MAX = 4 * 1024 * 1024;
const PARTS_MAX = 1 + 1024;

interface RawRow {
  readonly asked_seq: number;
  readonly asked_ns: string;
  readonly kind: string;
  readonly answer: Buffer;
}

/** The newest answer of each target. */
export function beliefIndex(db: Db): BeliefIndex {
  const get = db.prepare<[string], RawRow>(
    'SELECT asked_seq, CAST(asked_ns AS TEXT) AS asked_ns, kind, answer FROM beliefs WHERE target = ?',
  );
  const set = db.prepare(
    'INSERT OR REPLACE INTO beliefs (target, asked_seq, asked_ns, kind, answer) VALUES (?, ?, ?, ?, ?)',
  );
  const remove = db.prepare<[string]>('DELETE FROM beliefs WHERE target = ?');
  return {
    get: (target) => {
      const row = get.get(target);
      return row === undefined ? undefined : beliefOf(row);
    },
    set: (target, belief) => void set.run(target, belief.askedSeq, belief.askedNs, belief.kind, encodeAnswer(belief)),
    delete: (target) => void remove.run(target),
  };
}

function encodeAnswer(belief: Belief): Uint8Array {
  const writer = new ByteWriter();
  if (belief.kind === 'peer') {
    writer.u32(1 + belief.lists.length);
    for (const part of [belief.statement, ...belief.lists]) writer.u32(part.length).bytes(part);
    return writer.finish();
  }
  const { position, storeId, location } = belief;
  writer
    .bytes(fromHex(storeId, 16))
    .bytes(fromHex(location, 32))
    .u8(position === undefined ? 0 : 1);
  if (position !== undefined) writer.u32(position.incarnation).u64(position.seq).bytes(fromHex(position.link, 32));
  return writer.finish();
}

function beliefOf(row: RawRow): Belief {
  const asked = { askedSeq: row.asked_seq, askedNs: BigInt(row.asked_ns) };
  const reader = new ByteReader(row.answer, 'noted answer of a target');
  if (row.kind === 'peer') {
    const count = reader.u32();
    if (count < 1 || count > PARTS_MAX) throw formatError('noted answer of a target', `${count} parts`);
    const parts: Uint8Array[] = [];
    for (let i = 0; i < count; i++) {
      const length = reader.u32();
      if (length > PART_BYTES_MAX) throw formatError('noted answer of a target', `a part of ${length} bytes`);
      parts.push(reader.bytes(length));
    }
    reader.end();
    return { ...asked, kind: 'peer', statement: parts[0]!, lists: parts.slice(1) };
  }
  const storeId = toHex(reader.bytes(16));
  const location = toHex(reader.bytes(32));
  const isThere = reader.u8() === 1;
  const position = isThere
    ? { incarnation: reader.u32(), seq: reader.u64(), link: toHex(reader.bytes(32)) }
    : undefined;
  reader.end();
  return { ...asked, kind: 'bucket', storeId, location, position };
}
