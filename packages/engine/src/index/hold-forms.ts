/** Forms of hold rows: a row names the place of its form, in a body of the chain files or in a part of a hold checkpoint. */
import { FORM_BYTES, type Form, formAt, readForm } from '../chain/forms.ts';
import { asBuffer } from '../core/bytes.ts';
import { EdgeError } from '../core/errors.ts';
import type { ChunkId } from '../core/ids.ts';
import type { BodyBytes, ChainTable } from '../ports/chain-index.ts';
import { PART_POSITIONS } from './part-holds.ts';
import type { ShardTable, StateCode } from './shard-table.ts';

export interface RawHold {
  readonly shard_ref: number;
  readonly seq: number;
  readonly position: number;
  readonly state: StateCode;
}

/** Rows of one id, with their forms where those can be read. */
export interface Held {
  readonly rows: RawHold[];
  readonly forms: (Form | undefined)[];
}

export const NONE: Held = { rows: [], forms: [] };

export interface HoldForms {
  /** Undefined where the bytes cannot be read now. */
  formOf(chain: number, row: RawHold): Form | undefined;
  heldOf(chain: number, rows: readonly RawHold[], id: ChunkId): Held;
}

export function holdForms(
  chains: Pick<ChainTable, 'entry' | 'placeOf' | 'row'>,
  shards: Pick<ShardTable, 'baseOf' | 'numberOf'>,
  bodies: BodyBytes,
): HoldForms {
  const formOfPart = (chain: number, { shard_ref, position }: RawHold, asOfSeq: number): Form | undefined => {
    const { agent } = chains.row(chain);
    const shard = Math.abs(shards.numberOf(shard_ref));
    const place = {
      agent,
      shard,
      asOfSeq,
      byte: Math.floor(position / PART_POSITIONS),
      row: position % PART_POSITIONS,
    };
    try {
      const { addedSeq: _, ...form } = readForm(bodies.readPart(place), 0, 'part of a hold checkpoint');
      return form;
    } catch (error) {
      if (error instanceof EdgeError && ['E_FORMAT', 'E_INTEGRITY'].includes(error.code)) return undefined;
      throw error;
    }
  };
  /** Undefined where the body cannot be read now: damage there is found by whoever reads the chain. */
  const formOf = (chain: number, row: RawHold): Form | undefined => {
    const asOfSeq = shards.baseOf(row.shard_ref);
    if (row.seq <= asOfSeq) return formOfPart(chain, row, asOfSeq);
    const entry = chains.entry(chain, row.seq);
    const place = entry === undefined ? undefined : chains.placeOf(entry);
    if (place === undefined || (row.position + 1) * FORM_BYTES > place.bytes) return undefined;
    try {
      return formAt(bodies.read(place, row.position * FORM_BYTES, FORM_BYTES), 0);
    } catch (error) {
      if (error instanceof EdgeError && ['E_FORMAT', 'E_INTEGRITY'].includes(error.code)) return undefined;
      throw error;
    }
  };
  /**
   * The rows of exactly this id. Where a form cannot be read, its row counts as the id's: two ids with one key are rare, and a hold that is taken for
   * another one's is worse.
   */
  const heldOf = (chain: number, rows: readonly RawHold[], id: ChunkId): Held => {
    const held: Held = { rows: [], forms: [] };
    for (const row of rows) {
      const form = formOf(chain, row);
      if (form !== undefined && !asBuffer(form.id).equals(id)) continue;
      held.rows.push(row);
      held.forms.push(form);
    }
    return held;
  };
  return { formOf, heldOf };
}
