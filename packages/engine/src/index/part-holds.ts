/**
 * Rows of a shard that come from the parts of a hold checkpoint (docs/chain.md 8.1): they are put beside the shard's
 * state first, and take its place in one transaction. What was held and is not in the parts stays as disputed (8.3).
 */
import type { Form, HeldForm } from '../chain/forms.ts';
import type { UnsatisfiedReason } from '../chain/statement.ts';
import { bytesEqual } from '../core/bytes.ts';
import { EdgeError } from '../core/errors.ts';
import type { ChunkId } from '../core/ids.ts';
import type { PartHolds } from '../ports/chain-index.ts';
import type { Db } from './database.ts';
import { key48 } from './key48.ts';
import type { ShardTable, StateCode } from './shard-table.ts';

/** Rows of one part: a position is the first byte of the id and the row in its part. */
export const PART_POSITIONS = 2 ** 24;

export interface PartHoldsDeps {
  readonly shards: ShardTable;
  readonly isSatisfied: (id: ChunkId, forms: readonly Form[]) => boolean;
  /** What the shard has of an id now; undefined where it has no row. */
  readonly stateOf: (chain: number, shard: number, id: ChunkId) => StateCode | undefined;
  /** The id of a row; undefined where it cannot be read. */
  readonly idOf: (
    chain: number,
    row: { readonly shard_ref: number; readonly seq: number; readonly position: number },
  ) => ChunkId | undefined;
  readonly transaction: <T>(work: () => T) => T;
}

const SATISFIED = 0;
const CODES: Readonly<Record<UnsatisfiedReason, StateCode>> = { wanted: 1, lost: 2, unreadable: 3 };

export function partHolds(db: Db, { shards, isSatisfied, stateOf, idOf, transaction }: PartHoldsDeps): PartHolds {
  const insert = db.prepare('INSERT INTO holds (key48, shard_ref, seq, position, state) VALUES (?, ?, ?, ?, ?)');
  const onlyOld = db.prepare<[number, number], { key48: number; shard_ref: number; seq: number; position: number }>(
    `SELECT key48, shard_ref, seq, position FROM holds o WHERE shard_ref = ? AND state = 0
     AND NOT EXISTS (SELECT 1 FROM holds n WHERE n.key48 = o.key48 AND n.shard_ref = ?)`,
  );
  const dispute = db.prepare(
    'INSERT OR IGNORE INTO disputed (key48, chain, shard, id, is_ended) VALUES (?, ?, ?, ?, 0)',
  );
  const end = db.prepare('UPDATE disputed SET is_ended = 1 WHERE chain = ? AND shard = ?');
  const ended = db
    .prepare<[number, number], Buffer>('SELECT DISTINCT id FROM disputed WHERE chain = ? AND is_ended = 1 LIMIT ?')
    .pluck();
  const forget = db.prepare('DELETE FROM disputed WHERE key48 = ? AND chain = ? AND id = ? AND is_ended = 1');

  return {
    beginJoining: (chain, shard, asOfSeq) =>
      transaction(() => {
        shards.clear(chain, -shard);
        shards.setBase(shards.refOf(chain, -shard), asOfSeq);
      }),
    applyPart: (chain, shard, byte, forms, missing) =>
      transaction(() => {
        const ref = shards.refOf(chain, -shard);
        const counts = shards.counts(ref);
        for (let at = 0; at < forms.length; ) {
          const ofId = sameId(forms, at);
          const { id, addedSeq } = ofId[0]!;
          const before = stateOf(chain, shard, id);
          const reason = before === undefined || before === SATISFIED ? CODES[missing] : before;
          const state = isSatisfied(id, ofId) ? SATISFIED : reason;
          for (const [i] of ofId.entries())
            insert.run(key48(id), ref, addedSeq, byte * PART_POSITIONS + at + i, i === 0 ? state : SATISFIED);
          counts.add(state);
          at += ofId.length;
        }
        counts.store();
      }),
    switchToJoined: (chain, shard) =>
      transaction(() => {
        const joined = shards.refOf(chain, -shard);
        const old = shards.find(chain, shard);
        if (old !== undefined) {
          for (const row of onlyOld.all(old, joined)) {
            const id = idOf(chain, row);
            if (id === undefined)
              throw new EdgeError(
                'E_INTEGRITY',
                `the form of a chunk that was added by entry ${row.seq} cannot be read here`,
              );
            dispute.run(row.key48, chain, shard, id);
          }
          shards.clear(chain, shard);
        }
        shards.rename(joined, shard);
      }),
    endDisputes: (chain, shard) => void end.run(chain, shard),
    endedDisputes: (chain, limit) => ended.all(chain, limit).map((id) => new Uint8Array(id)),
    forgetDisputes: (chain, ids) =>
      transaction(() => {
        for (const id of ids) forget.run(key48(id), chain, id);
      }),
  };
}

function sameId(forms: readonly HeldForm[], from: number): HeldForm[] {
  const { id } = forms[from]!;
  let to = from + 1;
  while (to < forms.length && bytesEqual(forms[to]!.id, id)) to++;
  return forms.slice(from, to);
}
