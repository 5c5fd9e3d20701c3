/**
 * The hold state of an owner's chain, as a function of its entries alone (docs/formats/chain.md). Stores keep it in their index; tests compare the
 * index with this.
 */
import { type ChunkId, type HexId, toHex } from '../core/ids.ts';
import { EntryKind } from './entry-head.ts';
import {
  decodeAdd,
  decodeRelease,
  type Form,
  type HeldForm,
  isDelta,
  isSameForm,
  KEY_BYTES,
  KEY_FORMS_MAX,
  LISTED_FORMS_MAX,
} from './forms.ts';
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
function withForm(held: HeldId | undefined, seq: number, form: Form): HeldId {
  if (held === undefined) return { addedSeq: seq, forms: [form] };
  const isKept =
    isDelta(form) || held.forms.length >= LISTED_FORMS_MAX || held.forms.some((listed) => isSameForm(listed, form));
  return isKept ? held : { ...held, forms: [...held.forms, form] };
}

/** Holds of a shard that entries change, by chunk id in hex. All ids of one key have to be in it, or none of them. */
export class ChangingHolds {
  readonly byId: Map<HexId, HeldId>;
  /** Forms that are listed of the ids of each key. */
  readonly #ofKey = new Map<string, number>();

  constructor(holds: Iterable<readonly [HexId, HeldId]> = []) {
    this.byId = new Map(holds);
    for (const [id, { forms }] of this.byId) this.#count(id, forms.length);
  }

  /** A row of a part, in the order in which it lies there. */
  list({ addedSeq, ...form }: HeldForm): void {
    const id = toHex(form.id);
    const held = this.byId.get(id);
    this.byId.set(id, { addedSeq, forms: held === undefined ? [form] : [...held.forms, form] });
    this.#count(id, 1);
  }

  /** A form beyond the 16th of one key changes nothing. */
  add(seq: number, form: Form): void {
    const id = toHex(form.id);
    if ((this.#ofKey.get(keyOf(id)) ?? 0) >= KEY_FORMS_MAX) return;
    const before = this.byId.get(id);
    const after = withForm(before, seq, form);
    this.byId.set(id, after);
    this.#count(id, after.forms.length - (before?.forms.length ?? 0));
  }

  release(id: ChunkId): void {
    const hex = toHex(id);
    this.#count(hex, -(this.byId.get(hex)?.forms.length ?? 0));
    this.byId.delete(hex);
  }

  #count(id: HexId, more: number): void {
    const key = keyOf(id);
    const count = (this.#ofKey.get(key) ?? 0) + more;
    if (count === 0) this.#ofKey.delete(key);
    else this.#ofKey.set(key, count);
  }
}

const keyOf = (id: HexId): string => id.slice(0, 2 * KEY_BYTES);

/** The state after an entry. Entries that are not adds or releases change nothing. E_FORMAT for a body that is neither. */
export function applyEntry(state: HoldState, { head, body }: WholeEntry): HoldState {
  const { kind, shard, seq } = head.header;
  if (kind !== EntryKind.add && kind !== EntryKind.release) return state;
  const holds = new ChangingHolds(state.get(shard));
  if (kind === EntryKind.add) for (const form of decodeAdd(body)) holds.add(seq, form);
  else for (const id of decodeRelease(body)) holds.release(id);
  return new Map(state).set(shard, holds.byId);
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
