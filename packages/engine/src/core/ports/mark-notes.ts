/** Marks of copies, kept beside the index so that they outlive it. The page is `docs/formats/marks.md`. */
import type { ChunkId, HexId, PackName } from '../ids.ts';
import type { StoreName } from './index.ts';
import type { MissReason } from './sealed-source.ts';

interface OfPack {
  readonly store: StoreName;
  readonly pack: PackName;
  readonly atNs: bigint;
}

export type MarkNote =
  /** Copies were found bad, or good again (`lift`). */
  | (OfPack & { readonly kind: 'mark'; readonly reason: MissReason; readonly ids: readonly ChunkId[] })
  | (OfPack & { readonly kind: 'lift'; readonly ids: readonly ChunkId[] })
  /** The whole pack is absent or unreadable; `lift-pack` ends that, not marks of single copies. */
  | (OfPack & {
      readonly kind: 'mark-pack';
      readonly reason: MissReason;
      readonly frames: number;
      readonly bytes: number;
    })
  | (OfPack & { readonly kind: 'lift-pack' })
  /** Every frame was read and found good. */
  | (OfPack & { readonly kind: 'verified' })
  /** The pack was written anew, or is not needed any more: no earlier note of it holds. */
  | (OfPack & { readonly kind: 'end' });

/** The notes of one pack that hold. */
export interface NotedPack {
  readonly store: StoreName;
  readonly pack: PackName;
  readonly copies: ReadonlyMap<HexId, { readonly reason: MissReason; readonly sinceNs: bigint }>;
  readonly whole:
    | { readonly reason: MissReason; readonly sinceNs: bigint; readonly frames: number; readonly bytes: number }
    | undefined;
  readonly verifiedNs: bigint | undefined;
}

export interface MarkNotes {
  /** On stable storage when it returns. */
  append(notes: readonly MarkNote[]): void;
  /** All that holds, by `notedKey`. */
  read(): ReadonlyMap<string, NotedPack>;
}

export function notedKey(store: StoreName, pack: PackName): string {
  return `${store}/${pack}`;
}
