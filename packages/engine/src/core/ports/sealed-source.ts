/**
 * Places that sealed chunks can be read from: the local packs, a bucket, a peer. A restore asks several and verifies what it gets;
 * a source never opens a chunk.
 */
import type { ChunkId, PackName } from '../ids.ts';

export type SourceKind = 'local' | 'peers' | 's3';

export interface SealedSource {
  readonly kind: SourceKind;
  /** For messages, e.g. `local`, `dc-a (https://…)`, `s3://bucket/prefix`. */
  readonly label: string;
  /**
   * Where this source has each chunk: positions in the result match `ids`; undefined where it does not have it. An address that is `marked` is
   * only a place to try.
   * Throws (retryable) when the source cannot be asked; absence is never inferred from a failure.
   */
  locate(ids: readonly ChunkId[], signal?: AbortSignal): Promise<(SealedAddress | undefined)[]>;
  /**
   * Reads frames, in any order, each once; neighbouring addresses of one pack are read as one range.
   * A frame that turns out to be gone, damaged or unreadable is yielded as a `SealedMiss`; a source that fails as a whole throws.
   */
  fetch(addresses: readonly SealedAddress[], signal?: AbortSignal): AsyncIterable<SealedFrame | SealedMiss>;
  /**
   * Hears that a frame which it gave did not open: the copy is noted as bad, so that `locate` names another one where
   * there is one.
   */
  spoiled?(address: SealedAddress, reason: MissReason, detail: string): void;
  /** Only on the local source: the file of a pack, so that a worker can read it by itself. */
  packPath?(pack: PackName): string;
}

export interface SealedAddress {
  readonly id: ChunkId;
  readonly keyId: number;
  readonly sealedBytes: number;
  /** Pack and byte offset of the sealed chunk itself (after its frame header); absent for a peer, which is asked by id. */
  readonly pack?: PackName;
  readonly offset?: number;
  /** This agent sealed the copy itself, or opened it and found its id right: its tag is enough the next time. */
  readonly identified?: boolean;
  /**
   * The copy was found bad before, and the source knows no better one. It does not count as a copy; reading it is worth a try, since a disk that
   * could not be read may be read again.
   */
  readonly marked?: MissReason;
}

/**
 * `damaged`: the bytes were read and are not those that were stored. `unreadable`: an error now, which says nothing about the bytes. `absent`: the
 * place was asked and it is not there now; of a bucket or a folder only after its identity was read.
 */
export type MissReason = 'absent' | 'damaged' | 'unreadable';

export interface SealedFrame {
  readonly address: SealedAddress;
  readonly sealed: Uint8Array;
}

export interface SealedMiss {
  readonly address: SealedAddress;
  readonly reason: MissReason;
  readonly detail: string;
}
