import type { ChunkId } from '../core/ids.ts';
import type { FrameRow, FrameRows } from '../core/ports/index.ts';
import { chunkCount } from './chunk-count.ts';
import type { Db } from './database.ts';
import { key48 } from './key48.ts';
import { goodCopiesOfMany, LOOKED_UP_AT_ONCE } from './look-many-up.ts';
import type { NumberedPack } from './pack-table.ts';

/** One copy of a chunk: its row number, its pack's number, and the row. */
export interface NumberedFrame extends FrameRow {
  readonly frame: number;
  readonly pack: number;
  /** 0: good. */
  readonly state: number;
}

export interface FramePlace {
  readonly pack: number;
  readonly state: number;
  readonly keyId: number;
  readonly offset: number;
  readonly sealedBytes: number;
  readonly identified: boolean;
}

export interface FrameTable {
  /** The row number that the next pack's frames begin with. */
  nextRow(): number;
  insert(firstRow: number, pack: number, frames: FrameRows): void;
  isThere(id: ChunkId): boolean;
  /** Whether there is a good copy that was identified here. */
  hasIdentified(id: ChunkId): boolean;
  /** `Copies` of each of at most `LOOKED_UP_AT_ONCE` ids. */
  copiesOfMany(ids: readonly ChunkId[]): Uint8Array;
  /** Good copies only. */
  goodCopies(id: ChunkId): NumberedFrame[];
  /** Of all chunks whose id begins with these 48 bits. */
  goodCopiesOfKey(key: number): NumberedFrame[];
  /** Every copy, marked ones too. */
  allCopies(id: ChunkId): NumberedFrame[];
  /** Where copies are, marked ones too, without what only verifying them needs. */
  places(id: ChunkId): FramePlace[];
  /** Frames of a pack in the order they were added; marked ones only when asked for. */
  ofPack(pack: NumberedPack, includeMarked: boolean): NumberedFrame[];
  removeRow(frame: number): void;
  removePack(pack: NumberedPack): void;
  setState(frame: number, state: number): void;
  /** All frames of the pack that are in a state now. */
  setPackState(pack: NumberedPack, from: number, to: number): void;
  setIdentified(id: ChunkId, pack: number): void;
  /** Chunks with a copy, marked ones too. Kept, as counting millions takes long. */
  chunks(): number;
}

const IDENTIFIED = 1;

interface RawFrame {
  readonly frame: number;
  readonly id: Buffer;
  readonly pack: number;
  readonly key_id: number;
  readonly offset: number;
  readonly sealed_bytes: number;
  readonly sha256: Buffer;
  readonly flags: number;
  readonly state: number;
}

const COLUMNS = 'frame, id, pack, key_id, offset, sealed_bytes, sha256, flags, state';
const COLUMNS_INSERTED = 9;
/** Rows of one INSERT: the cost of a call into SQLite is shared by them. */
const ROWS_AT_ONCE = LOOKED_UP_AT_ONCE;

export function frameTable(db: Db): FrameTable {
  const nextRow = db.prepare<[], number>('SELECT coalesce(max(frame), 0) + 1 FROM frames').pluck();
  const insertOne = db.prepare(insertOf(1));
  const insertMany = db.prepare(insertOf(ROWS_AT_ONCE));
  const isThere = db
    .prepare<[number, Uint8Array], number>('SELECT 1 FROM frames WHERE key48 = ? AND id = ? AND state = 0 LIMIT 1')
    .pluck();
  const hasIdentified = db
    .prepare<[number, Uint8Array], number>(
      `SELECT 1 FROM frames WHERE key48 = ? AND id = ? AND state = 0 AND flags & ${IDENTIFIED} LIMIT 1`,
    )
    .pluck();
  const copies = db.prepare<[number, Uint8Array], RawFrame>(
    `SELECT ${COLUMNS} FROM frames WHERE key48 = ? AND id = ? AND state = 0`,
  );
  const copiesOfKey = db.prepare<[number], RawFrame>(`SELECT ${COLUMNS} FROM frames WHERE key48 = ? AND state = 0`);
  const everyCopy = db.prepare<[number, Uint8Array], RawFrame>(
    `SELECT ${COLUMNS} FROM frames WHERE key48 = ? AND id = ?`,
  );
  // As arrays and without blobs: each blob is a buffer outside the heap, and a restore asks for every chunk.
  const places = db
    .prepare<[number, Uint8Array], [number, number, number, number, number, number]>(
      'SELECT pack, key_id, offset, sealed_bytes, flags, state FROM frames WHERE key48 = ? AND id = ?',
    )
    .raw();
  const range = 'frame >= ? AND frame < ? AND pack = ?';
  const ofPack = db.prepare<[number, number, number], RawFrame>(
    `SELECT ${COLUMNS} FROM frames WHERE ${range} AND state = 0 ORDER BY frame`,
  );
  const ofPackAll = db.prepare<[number, number, number], RawFrame>(
    `SELECT ${COLUMNS} FROM frames WHERE ${range} ORDER BY frame`,
  );
  const removeRow = db.prepare<[number]>('DELETE FROM frames WHERE frame = ?');
  const removePack = db.prepare<[number, number, number]>(`DELETE FROM frames WHERE ${range}`);
  const setState = db.prepare<[number, number]>('UPDATE frames SET state = ? WHERE frame = ?');
  const setPackState = db.prepare<[number, number, number, number, number]>(
    `UPDATE frames SET state = ? WHERE ${range} AND state = ?`,
  );
  const identify = db.prepare<[number, Uint8Array, number]>(
    `UPDATE frames SET flags = flags | ${IDENTIFIED} WHERE key48 = ? AND id = ? AND pack = ?`,
  );
  const count = chunkCount(db);
  const rangeOf = (pack: NumberedPack): [number, number, number] => [
    pack.firstFrame,
    pack.firstFrame + pack.frames,
    pack.pack,
  ];

  return {
    nextRow: () => nextRow.get()!,
    insert: (firstRow, pack, frames) => {
      let values: unknown[] = [];
      let keys: number[] = [];
      let row = firstRow;
      let added = 0;
      for (const frame of frames) {
        keys.push(pushValues(values, row++, pack, frame));
        if (keys.length < ROWS_AT_ONCE) continue;
        added += count.newAmong(keys);
        insertMany.run(values);
        values = [];
        keys = [];
      }
      if (keys.length > 0) added += count.newAmong(keys);
      count.change(added);
      for (let at = 0; at < values.length; at += COLUMNS_INSERTED)
        insertOne.run(values.slice(at, at + COLUMNS_INSERTED));
    },
    isThere: (id) => isThere.get(key48(id), id) !== undefined,
    hasIdentified: (id) => hasIdentified.get(key48(id), id) !== undefined,
    copiesOfMany: goodCopiesOfMany(db, IDENTIFIED),
    goodCopies: (id) => copies.all(key48(id), id).map(toFrame),
    goodCopiesOfKey: (key) => copiesOfKey.all(key).map(toFrame),
    allCopies: (id) => everyCopy.all(key48(id), id).map(toFrame),
    places: (id) =>
      places.all(key48(id), id).map(([pack, keyId, offset, sealedBytes, flags, state]) => ({
        pack,
        state,
        keyId,
        offset,
        sealedBytes,
        identified: (flags & IDENTIFIED) !== 0,
      })),
    ofPack: (pack, includeMarked) => (includeMarked ? ofPackAll : ofPack).all(...rangeOf(pack)).map(toFrame),
    removeRow: (frame) => {
      if (count.isOnly(frame)) count.change(-1);
      removeRow.run(frame);
    },
    removePack: (pack) => {
      const rows = rangeOf(pack);
      count.change(-count.onlyIn(...rows));
      removePack.run(...rows);
    },
    setState: (frame, state) => void setState.run(state, frame),
    setPackState: (pack, from, to) => void setPackState.run(to, ...rangeOf(pack), from),
    setIdentified: (id, pack) => void identify.run(key48(id), id, pack),
    chunks: count.get,
  };
}

function insertOf(rows: number): string {
  const one = '(?, ?, ?, ?, ?, ?, ?, ?, ?)';
  return `INSERT INTO frames (frame, key48, id, pack, key_id, offset, sealed_bytes, sha256, flags) VALUES ${Array(rows).fill(one).join(', ')}`;
}

/** Answers the frame's key. */
function pushValues(values: unknown[], row: number, pack: number, frame: FrameRow): number {
  const key = key48(frame.id);
  values.push(
    row,
    key,
    frame.id,
    pack,
    frame.keyId,
    frame.offset,
    frame.sealedBytes,
    frame.sealedSha256,
    frame.identified ? IDENTIFIED : 0,
  );
  return key;
}

function toFrame(raw: RawFrame): NumberedFrame {
  return {
    frame: raw.frame,
    id: raw.id,
    pack: raw.pack,
    keyId: raw.key_id,
    offset: raw.offset,
    sealedBytes: raw.sealed_bytes,
    sealedSha256: raw.sha256,
    identified: (raw.flags & IDENTIFIED) !== 0,
    state: raw.state,
  };
}
