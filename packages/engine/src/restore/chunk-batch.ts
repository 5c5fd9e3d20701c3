/** Hands a batch of chunks and what is made of them to a worker: names local packs to read, brings along what only the main thread can fetch. */
import { type Copy, shareTrouble, type Wanted } from '../browse/copy-router.ts';
import { fetchSealed } from '../browse/sealed-fetch.ts';
import { EdgeError } from '../core/errors.ts';
import type { HexId, PackName } from '../core/ids.ts';
import { type ExtractChunk, packBatch, type UnpackedBatch } from '../pipeline/tasks/extract-batch.ts';
import type { ExtractFilesTask } from '../pipeline/tasks/extract-files.ts';
import type { RestoreRun } from './restore-run.ts';

/** Content of one batch in bytes: some milliseconds of work, so that the workers stay even. */
export const BATCH_BYTES = 4 * 1024 * 1024;

export interface BatchParts {
  /** Every chunk of the batch. */
  readonly wanted: readonly Wanted[];
  /** Called when all chunks are at hand; `chunkOf` gives a chunk's number, or undefined when no source has it (any more). */
  readonly describe: (chunkOf: (wanted: Wanted) => number | undefined) => Omit<UnpackedBatch, 'chunks'>;
}

/** Runs the batch; the bad chunks that the worker found are struck off their copies, so that `choose` finds the next ones. */
export async function sendBatch(run: RestoreRun, parts: BatchParts): Promise<ExtractFilesTask['output']> {
  if (parts.wanted.every((one) => one.copy !== undefined && workerReads(one.copy))) return send(run, parts, new Map());
  // The place is kept until the batch is written: it is what bounds the fetched bytes in memory.
  return run.fetches.run(async () => send(run, parts, await bring(run, parts.wanted)));
}

/** Whether workers read the copy by themselves. One that is marked is read here, where its mark can be lifted. */
export function workerReads({ source, address }: Copy): boolean {
  return source.packPath !== undefined && address.marked === undefined;
}

async function bring(run: RestoreRun, wanted: readonly Wanted[]): Promise<Map<Wanted, Uint8Array>> {
  const brought = new Map<Wanted, Uint8Array>();
  // Two files may want one chunk: it is fetched once.
  const byHex = new Map<HexId, Wanted[]>();
  for (const one of new Set(wanted)) {
    if (one.copy === undefined || workerReads(one.copy)) continue;
    const same = byHex.get(one.hex);
    if (same === undefined) byHex.set(one.hex, [one]);
    else same.push(one);
  }
  await fetchSealed(
    run.reader.chunks.router,
    [...byHex.values()].map((same) => same[0]!),
    {
      take(one, sealed) {
        const own = Uint8Array.from(sealed);
        for (const same of byHex.get(one.hex)!) {
          same.copy = one.copy;
          brought.set(same, own);
        }
        return undefined;
      },
      missing(one) {
        for (const same of byHex.get(one.hex)!) {
          if (same === one) continue;
          same.copy = undefined;
          shareTrouble(one, same);
        }
      },
    },
    run.signal,
  );
  return brought;
}

async function send(
  run: RestoreRun,
  parts: BatchParts,
  brought: ReadonlyMap<Wanted, Uint8Array>,
): Promise<ExtractFilesTask['output']> {
  const table = createChunkTable(brought);
  const output = await run.tasks.run(() => {
    const packed = packBatch({ ...parts.describe(table.chunkOf), chunks: table.chunks });
    const input = { root: run.root, batch: packed, collision: run.collision() };
    return run.pool.run('extractFiles', input, { transfer: [packed.bytes.buffer, packed.numbers.buffer] });
  });
  for (const bad of output.badChunks) {
    for (const one of table.wantedOf[bad.chunk]!) run.reader.chunks.router.spoil(one, bad.reason, bad.detail);
  }
  run.counts.ownersKept += output.ownersKept;
  for (const failure of [...output.files, ...output.pieces]) {
    if (failure.code === 'E_NO_SPACE') run.stop.stop(new EdgeError('E_NO_SPACE', failure.message));
  }
  run.stop.check();
  return output;
}

interface ChunkTable {
  readonly chunks: ExtractChunk[];
  /** By number of the chunk: all that want it from there. */
  readonly wantedOf: Wanted[][];
  chunkOf(wanted: Wanted): number | undefined;
}

function createChunkTable(brought: ReadonlyMap<Wanted, Uint8Array>): ChunkTable {
  const chunks: ExtractChunk[] = [];
  const wantedOf: Wanted[][] = [];
  /** Numbers of the chunks that were brought along, and of those in local packs by their offset. */
  const numbers = new Map<Uint8Array, number>();
  const packs = new Map<PackName, { readonly path: string; readonly numbers: Map<number, number> }>();
  const known = (number: number, one: Wanted): number => {
    if (wantedOf[number]!.at(-1) !== one) wantedOf[number]!.push(one);
    return number;
  };
  return {
    chunks,
    wantedOf,
    chunkOf(one) {
      const copy = one.copy;
      if (copy === undefined) return undefined;
      const { source, address } = copy;
      const { keyId, sealedBytes, identified = false, pack, offset } = address;
      const sealed = brought.get(one);
      const number = chunks.length;
      // Two copies of one chunk are two chunks here: one of them may be bad.
      if (sealed !== undefined) {
        const same = numbers.get(sealed);
        if (same !== undefined) return known(same, one);
        numbers.set(sealed, number);
        chunks.push({ id: one.id, keyId, sealedBytes: sealed.length, identified: false, place: { sealed } });
      } else {
        if (pack === undefined || offset === undefined || source.packPath === undefined || !workerReads(copy))
          return undefined;
        let inPack = packs.get(pack);
        if (inPack === undefined) {
          inPack = { path: source.packPath(pack), numbers: new Map() };
          packs.set(pack, inPack);
        }
        const same = inPack.numbers.get(offset);
        if (same !== undefined) return known(same, one);
        inPack.numbers.set(offset, number);
        chunks.push({ id: one.id, keyId, sealedBytes, identified, place: { pack: inPack.path, offset } });
      }
      wantedOf.push([one]);
      return number;
    },
  };
}
