/**
 * Reads forms of hold rows, for one look-up of many ids. A row names the place of its form, in a body of the chain
 * files or in a part of a hold checkpoint. The ids of one look-up lie in few entries as a rule, and each entry is
 * looked up once.
 */
import { FORM_BYTES, type Form, formAt, readForm } from '../chain/forms.ts';
import { asBuffer } from '../core/bytes.ts';
import { EdgeError } from '../core/errors.ts';
import type { ChunkId } from '../core/ids.ts';
import type { BodyBytes, BodyPlace, ChainTable } from '../ports/chain-index.ts';
import type { RawHold } from './look-many-up.ts';
import { PART_POSITIONS } from './part-holds.ts';
import type { ShardTable } from './shard-table.ts';

export interface FormReaderDeps {
  readonly chains: Pick<ChainTable, 'entry' | 'placeOf' | 'row'>;
  readonly shards: Pick<ShardTable, 'baseOf' | 'numberOf'>;
  readonly bodies: BodyBytes;
}

export type RowPlace = Pick<RawHold, 'shard_ref' | 'seq' | 'position'>;

/** Rows of one id, with their forms where those can be read. */
export interface Held {
  readonly rows: RawHold[];
  readonly forms: (Form | undefined)[];
}

export const NONE: Held = { rows: [], forms: [] };

export interface FormReader {
  /** Undefined where the bytes cannot be read now: damage there is found by whoever reads the chain. */
  formOf(chain: number, row: RowPlace): Form | undefined;
  /**
   * The rows of exactly this id. Where a form cannot be read, its row counts as the id's: two ids with one key are
   * rare, and a hold that is taken for another one's is worse.
   */
  heldOf(chain: number, rows: readonly RawHold[], id: ChunkId): Held;
}

interface Known {
  readonly place: BodyPlace | undefined;
  looks: number;
  body: Uint8Array | undefined;
}

/** After so many looks at one entry its whole body is read. */
const LOOKS_SINGLE_MAX = 8;
const BODIES_KEPT_MAX = 8;

/** What it knows of places is not looked up again: not to be kept beyond one synchronous call. */
export function formReader({ chains, shards, bodies }: FormReaderDeps): FormReader {
  const known = new Map<number, Map<number, Known>>();
  const bases = new Map<number, number>();
  let bodiesKept = 0;

  const find = (chain: number, seq: number): Known => {
    let ofChain = known.get(chain);
    if (ofChain === undefined) {
      ofChain = new Map();
      known.set(chain, ofChain);
    }
    let found = ofChain.get(seq);
    if (found === undefined) {
      const entry = chains.entry(chain, seq);
      found = { place: entry === undefined ? undefined : chains.placeOf(entry), looks: 0, body: undefined };
      ofChain.set(seq, found);
    }
    return found;
  };
  const readWhole = (found: Known, place: BodyPlace): void => {
    if (bodiesKept >= BODIES_KEPT_MAX) {
      known.clear();
      bodiesKept = 0;
    }
    try {
      found.body = bodies.read(place, 0, place.bytes);
      bodiesKept++;
    } catch (error) {
      // What is there of it is read form by form.
      if (!isDamage(error)) throw error;
    }
  };
  const baseOf = (ref: number): number => {
    let base = bases.get(ref);
    if (base === undefined) {
      base = shards.baseOf(ref);
      bases.set(ref, base);
    }
    return base;
  };
  const formOfBody = (chain: number, { seq, position }: RowPlace): Form | undefined => {
    const found = find(chain, seq);
    const { place } = found;
    const at = position * FORM_BYTES;
    if (place === undefined || at + FORM_BYTES > place.bytes) return undefined;
    if (++found.looks === LOOKS_SINGLE_MAX) readWhole(found, place);
    return formAt(found.body?.subarray(at, at + FORM_BYTES) ?? bodies.read(place, at, FORM_BYTES), 0);
  };
  const formOfPart = (chain: number, { shard_ref, position }: RowPlace, asOfSeq: number): Form => {
    const { agent } = chains.row(chain);
    const shard = Math.abs(shards.numberOf(shard_ref));
    const [byte, row] = [Math.floor(position / PART_POSITIONS), position % PART_POSITIONS];
    const bytes = bodies.readPart({ agent, shard, asOfSeq, byte, row });
    const { addedSeq: _, ...form } = readForm(bytes, 0, 'part of a hold checkpoint');
    return form;
  };
  const formOf = (chain: number, row: RowPlace): Form | undefined => {
    const asOfSeq = baseOf(row.shard_ref);
    try {
      return row.seq <= asOfSeq ? formOfPart(chain, row, asOfSeq) : formOfBody(chain, row);
    } catch (error) {
      if (isDamage(error)) return undefined;
      throw error;
    }
  };
  return {
    formOf,
    heldOf: (chain, rows, id) => {
      const held: Held = { rows: [], forms: [] };
      for (const row of rows) {
        const form = formOf(chain, row);
        if (form !== undefined && !asBuffer(form.id).equals(id)) continue;
        held.rows.push(row);
        held.forms.push(form);
      }
      return held;
    },
  };
}

function isDamage(error: unknown): boolean {
  return error instanceof EdgeError && ['E_FORMAT', 'E_INTEGRITY'].includes(error.code);
}
