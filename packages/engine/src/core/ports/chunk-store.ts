/** The agent's own disk store as flows see it: writing sealed chunks into packs, reading them, and keeping packs in shape. */
import type { ChunkId, PackClass, PackName } from '../ids.ts';
import type { FrameRow } from './index.ts';
import type { SealedAddress, SealedFrame, SealedMiss, SealedSource } from './sealed-source.ts';

/** A sealed chunk on its way into a pack. `bytes` may be a view into a larger buffer and must not change until it is flushed. */
export interface SealedChunk {
  readonly id: ChunkId;
  readonly packClass: PackClass;
  readonly keyId: number;
  readonly bytes: Uint8Array;
  /** SHA-256 of `bytes`. */
  readonly sha256: Uint8Array;
  readonly identified: boolean;
}

export interface ChunkWriter {
  /**
   * Takes a chunk. Resolves when there is room for more (back-pressure), not when it is durable; undefined when there is. E_NO_SPACE below the free-space
   * floor. A chunk already added by this writer is ignored.
   */
  add(chunk: SealedChunk): Promise<void> | undefined;
  /** Resolves when every chunk added so far is durable (pack fsynced, renamed, folder fsynced) and indexed. */
  flush(): Promise<void>;
  /** Flushes and ends; or, after a failure, removes its temporary files and ends. */
  close(): Promise<void>;
  abandon(): Promise<void>;
  readonly stats: { readonly chunks: number; readonly bytes: number; readonly packs: number };
}

export interface ChunkWriterOptions {
  /** Called for each pack that is durable and indexed, before `flush` resolves. What it throws fails the writer. */
  readonly onPack?: (packClass: PackClass, frames: Iterable<FrameRow>) => Promise<void>;
}

export interface ChunkStore extends SealedSource {
  /** What it stores is relied on by every session that is open: one of the caller's should be. */
  openWriter(options?: ChunkWriterOptions): ChunkWriter;
  /**
   * Reads exactly these own-disk copies again, from the medium and not from the kernel's memory, and compares each with the hash that was noted when it
   * was stored: what comes as a frame is good now. No other copy stands in for one that is not.
   */
  verify(addresses: readonly SealedAddress[], signal?: AbortSignal): AsyncIterable<SealedFrame | SealedMiss>;
  /**
   * Removes own-disk copies of chunks that the caller verified elsewhere (P5), and compacts the packs that lost much. `kept`: positions of chunks that
   * stay, because a running session or another owner relies on them, or because `keeps` says so within the transaction.
   */
  drop(
    ids: readonly ChunkId[],
    signal?: AbortSignal,
    keeps?: (id: ChunkId) => boolean,
  ): Promise<{ readonly bytesFreed: number; readonly kept: readonly number[] }>;
  /** Merges small packs of a class into full ones. */
  mergeSmallPacks(signal?: AbortSignal): Promise<{ readonly merged: number; readonly bytes: number }>;
  /** Free bytes on the packs' file system, and whether capture must stop. */
  freeSpace(): Promise<{ readonly freeBytes: number; readonly belowFloor: boolean }>;
  packPath(pack: PackName): string;
  /**
   * E_CONFIG unless the folder that packs were put into is there, asked now: its disk may be unmounted while a process
   * runs. No pack is called absent before. E_IO when the folder cannot be read.
   */
  requireFolder(): Promise<void>;
}
