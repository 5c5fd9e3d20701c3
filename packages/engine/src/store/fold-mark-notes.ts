/** What holds of a row of notes, and the shortest row of notes that says the same. */
import { fromHex, type HexId, toHex } from '../core/ids.ts';
import { type MarkNote, type NotedPack, notedKey } from '../core/ports/mark-notes.ts';
import type { MissReason } from '../core/ports/sealed-source.ts';

interface OpenPack {
  store: string;
  pack: string;
  readonly copies: Map<HexId, { reason: MissReason; sinceNs: bigint }>;
  whole: NotedPack['whole'];
  verifiedNs: bigint | undefined;
}

export function foldNotes(notes: Iterable<MarkNote>): Map<string, NotedPack> {
  const packs = new Map<string, OpenPack>();
  for (const note of notes) {
    const key = notedKey(note.store, note.pack);
    if (note.kind === 'end') {
      packs.delete(key);
      continue;
    }
    const open = packs.get(key) ?? emptyPack(note);
    packs.set(key, open);
    apply(note, open);
    if (open.copies.size === 0 && open.whole === undefined && open.verifiedNs === undefined) packs.delete(key);
  }
  return packs;
}

function emptyPack({ store, pack }: MarkNote): OpenPack {
  return { store, pack, copies: new Map(), whole: undefined, verifiedNs: undefined };
}

/** The time of the first mark stays when the reason changes: the finding is as old as that. */
function apply(note: Exclude<MarkNote, { kind: 'end' }>, open: OpenPack): void {
  const { atNs } = note;
  if (note.kind === 'mark') {
    for (const id of note.ids) {
      const hex = toHex(id);
      open.copies.set(hex, { reason: note.reason, sinceNs: open.copies.get(hex)?.sinceNs ?? atNs });
    }
  } else if (note.kind === 'lift') {
    for (const id of note.ids) open.copies.delete(toHex(id));
  } else if (note.kind === 'mark-pack') {
    const { reason, frames, bytes } = note;
    open.whole = { reason, frames, bytes, sinceNs: open.whole?.sinceNs ?? atNs };
  } else if (note.kind === 'lift-pack') open.whole = undefined;
  else open.verifiedNs = atNs;
}

export function* notesOf(packs: ReadonlyMap<string, NotedPack>): Generator<MarkNote> {
  for (const { store, pack, copies, whole, verifiedNs } of packs.values()) {
    if (verifiedNs !== undefined) yield { kind: 'verified', store, pack, atNs: verifiedNs };
    if (whole !== undefined) {
      const { sinceNs: atNs, reason, frames, bytes } = whole;
      yield { kind: 'mark-pack', store, pack, atNs, reason, frames, bytes };
    }
    const groups = new Map<string, { reason: MissReason; atNs: bigint; ids: Uint8Array[] }>();
    for (const [hex, { reason, sinceNs }] of copies) {
      const key = `${reason}/${sinceNs}`;
      const group = groups.get(key) ?? { reason, atNs: sinceNs, ids: [] };
      group.ids.push(fromHex(hex, 32));
      groups.set(key, group);
    }
    for (const { reason, atNs, ids } of groups.values()) yield { kind: 'mark', store, pack, atNs, reason, ids };
  }
}
