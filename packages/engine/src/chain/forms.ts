/** Bodies of hold entries: forms that an add lists, ids that a release names (docs/formats/chain.md). */
import type { ChunkId } from '../core/ids.ts';

export type FormClass = 'data' | 'meta' | 'data-delta' | 'meta-delta';

/** One sealed form of a chunk that satisfies its hold. 80 bytes in an add. */
export interface Form {
  readonly id: ChunkId;
  /** SHA-256 of the sealed chunk, 32 bytes. */
  readonly sealedSha256: Uint8Array;
  readonly sealedBytes: number;
  readonly keyId: number;
  readonly formClass: FormClass;
}
