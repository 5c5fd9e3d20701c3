/**
 * The hold state of an owner's chain, as a function of its entries alone (docs/formats/chain.md). Stores keep it in their index; tests compare the
 * index with this.
 */
import { type ChunkId, type HexId, toHex } from '../core/ids.ts';
import { EntryKind } from './entry-head.ts';
import { decodeAdd, decodeRelease, type Form, isDelta, isSameForm, LISTED_FORMS_MAX } from './forms.ts';
import type { WholeEntry } from './record-entry.ts';

/** A chunk that is held in a shard. */
export interface HeldId {
  readonly addedSeq: number;
  /** 1 to 4, in the order in which they were added. Only the first can be a delta. */
  readonly forms: readonly Form[];
}

/** By chunk id in hex. */
export type ShardHolds = ReadonlyMap<HexId, HeldId>;
/** By shard. */
export type HoldState = ReadonlyMap<number, ShardHolds>;

export const EMPTY_HOLDS: HoldState = new Map();

/** What an add of a form makes of an id: the same object when it changes nothing. */
export function withForm(held: HeldId | undefined, seq: number, form: Form): HeldId {
  if (held === undefined) return { addedSeq: seq, forms: [form] };
  const isKept =
    isDelta(form) || held.forms.length >= LISTED_FORMS_MAX || held.forms.some((listed) => isSameForm(listed, form));
  return isKept ? held : { ...held, forms: [...held.forms, form] };
}

/** The state after an entry. Entries that are not adds or releases change nothing. E_FORMAT for a body that is neither. */
export function applyEntry(state: HoldState, { head, body }: WholeEntry): HoldState {
  const { kind, shard, seq } = head.header;
  if (kind !== EntryKind.add && kind !== EntryKind.release) return state;
  const holds = new Map(state.get(shard));
  if (kind === EntryKind.add) {
    for (const form of decodeAdd(body)) holds.set(toHex(form.id), withForm(holds.get(toHex(form.id)), seq, form));
  } else {
    for (const id of decodeRelease(body)) holds.delete(toHex(id));
  }
  return new Map(state).set(shard, holds);
}

/** The state after all entries of a trail, from the first on. */
export function holdStateOf(entries: Iterable<WholeEntry>): HoldState {
  let state = EMPTY_HOLDS;
  for (const entry of entries) state = applyEntry(state, entry);
  return state;
}

/** Whether any shard holds the id. */
export function isHeldAnywhere(state: HoldState, id: ChunkId): boolean {
  return [...state.values()].some((holds) => holds.has(toHex(id)));
}
