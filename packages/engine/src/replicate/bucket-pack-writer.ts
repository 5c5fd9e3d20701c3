/** Lays down packs for a bucket in memory, one of each class at a time, puts them, and has the index know them once the store showed them. */
import type { Clock } from '../core/clock.ts';
import { failpoint } from '../core/failpoint.ts';
import type { ChunkId, PackClass, PackName, VaultId } from '../core/ids.ts';
import { PACK_FRAMES_TARGET, PACK_LOCAL_BYTES_TARGET } from '../core/limits.ts';
import type { ChunkIndex } from '../core/ports/index.ts';
import type { ReportProgress } from '../core/ports/progress.ts';
import { createPackBuilder, type PackBuilder } from '../pack/pack-builder.ts';
import type { BucketChunk } from './bucket-supply.ts';

/** Packs are held in memory until they are put, one of each class: half of what a bucket's pack may have. */
const PACK_BYTES_TARGET = PACK_LOCAL_BYTES_TARGET;

export interface BucketPackWriter {
  add(chunk: BucketChunk): Promise<void>;
  /** Resolves when everything added is in the bucket, verified and indexed. */
  flush(): Promise<void>;
  totals(): { readonly chunks: number; readonly bytes: number; readonly sentBytes: number };
}

export interface BucketPackWriterDeps {
  readonly store: string;
  readonly vault: VaultId;
  readonly clock: Clock;
  readonly index: Pick<ChunkIndex, 'addPack' | 'locate'>;
  readonly put: (name: PackName, body: Uint8Array, packClass: PackClass) => Promise<void>;
  readonly progress?: ReportProgress | undefined;
}

/** A pack in the making: its bytes are laid down once, where they are sent from. */
interface OpenPack {
  readonly builder: PackBuilder;
  readonly parts: Uint8Array[];
  readonly ids: ChunkId[];
}

export function openBucketPackWriter(deps: BucketPackWriterDeps): BucketPackWriter {
  const open = new Map<PackClass, OpenPack>();
  const totals = { chunks: 0, bytes: 0, sentBytes: 0 };

  async function put(packClass: PackClass): Promise<void> {
    const pack = open.get(packClass);
    if (pack === undefined) return;
    open.delete(packClass);
    // Copying does not make data young.
    const storedNs = youngestOf(deps.index.locate(pack.ids)) ?? deps.clock.nowNs();
    const finished = pack.builder.finish(storedNs);
    const body = Buffer.concat([...pack.parts, finished.tail], finished.bytes);
    await deps.put(finished.name, body, packClass);
    failpoint('replicate.bucket-pack-put');
    const { name, bytes, frames } = finished;
    deps.index.addPack(
      { name, store: deps.store, packClass, bytes, frames: frames.length, createdNs: storedNs },
      frames,
    );
    totals.sentBytes += bytes;
    deps.progress?.({ phase: 'replicate', bytesDone: totals.sentBytes, detail: deps.store });
  }

  return {
    async add({ id, packClass, keyId, sealed, sealedSha256: sha256, identified }) {
      let pack = open.get(packClass);
      if (pack?.builder.has(id) === true) return;
      if (pack === undefined) {
        const builder = createPackBuilder(deps.vault, packClass);
        pack = { builder, parts: [builder.header()], ids: [] };
        open.set(packClass, pack);
      }
      const frame = { id, packClass, keyId, bytes: sealed, sha256, identified };
      pack.parts.push(pack.builder.frameHeader(frame), sealed);
      pack.builder.add(frame);
      pack.ids.push(id);
      totals.chunks++;
      totals.bytes += sealed.length;
      if (pack.builder.bytes >= PACK_BYTES_TARGET || pack.builder.frames >= PACK_FRAMES_TARGET) await put(packClass);
    },
    async flush() {
      await put('data');
      await put('meta');
    },
    totals: () => totals,
  };
}

/** When the newest of the chunks was stored first; undefined where no copy here tells. */
function youngestOf(copies: readonly (readonly { readonly createdNs: bigint }[])[]): bigint | undefined {
  let youngest: bigint | undefined;
  for (const located of copies) {
    let stored: bigint | undefined;
    for (const { createdNs } of located) if (stored === undefined || createdNs < stored) stored = createdNs;
    if (stored !== undefined && (youngest === undefined || stored > youngest)) youngest = stored;
  }
  return youngest;
}
