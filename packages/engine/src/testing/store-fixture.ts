/** A data dir in a temporary folder with its index, packs and logs open, and made-up sealed chunks to put into it. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PackClass, VaultId } from '../core/ids.ts';
import type { ChunkStore, SealedChunk } from '../core/ports/chunk-store.ts';
import type { ReportWarning } from '../core/ports/progress.ts';
import { type Index, openIndex } from '../index/open-index.ts';
import type { RecordBody } from '../log/record-body.ts';
import { openChunkStore } from '../store/chunk-store/open-chunk-store.ts';
import { cleanDataDir, createDataDir, type DataDir, dataDirAt } from '../store/data-dir.ts';
import type { IdentifyFrames } from '../store/identify-frames.ts';
import { type LogStore, openLogStore } from '../store/log-store.ts';
import { openMarksFile } from '../store/marks-file.ts';
import { type RebuildReport, reconcileIndex } from '../store/rebuild.ts';
import { realClock } from './real-clock.ts';

export const FIXTURE_VAULT: VaultId = 'ab'.repeat(16);

export interface OpenedStore {
  readonly dataDir: DataDir;
  readonly index: Index;
  readonly chunks: ChunkStore;
  readonly logs: LogStore;
  readonly reconciled: RebuildReport;
  close(): void;
}

export interface StoreOptions {
  readonly floorBytes?: number;
  readonly packDir?: string;
  readonly identify?: IdentifyFrames;
  readonly warn?: ReportWarning;
  readonly openRecord?: (record: Uint8Array) => RecordBody | undefined;
}

/** Opens a data dir as the engine does: clean-up, index, logs, reconciliation. Makes it when it is not there. */
export async function openStore(path: string, options: StoreOptions = {}): Promise<OpenedStore> {
  const dataDir = dataDirAt(path, { packDir: options.packDir });
  await createDataDir(dataDir);
  await cleanDataDir(dataDir);
  const notes = openMarksFile(dataDir.marksFile);
  const index = openIndex(dataDir.indexFile, { clock: realClock, vault: FIXTURE_VAULT, notes });
  try {
    const logs = await openLogStore(dataDir.logDir, { knownHeads: index.isBuilt() ? index.log.heads() : [] });
    const chunks = openChunkStore({
      packDir: dataDir.packDir,
      index: index.chunks,
      vault: FIXTURE_VAULT,
      clock: realClock,
      floorBytes: options.floorBytes ?? 0,
      ...(options.warn === undefined ? {} : { warn: options.warn }),
    });
    const reconciled = await reconcileIndex({
      dataDir,
      index,
      log: logs,
      vault: FIXTURE_VAULT,
      clock: realClock,
      openRecord: options.openRecord ?? (() => undefined),
      ...(options.identify === undefined ? {} : { identify: options.identify }),
    });
    return { dataDir, index, chunks, logs, reconciled, close: () => index.close() };
  } catch (error) {
    index.close();
    throw error;
  }
}

/** A folder that is removed by `remove`; under /tmp or EDGESTORE_TEST_DIR. */
export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(process.env.EDGESTORE_TEST_DIR ?? tmpdir(), 'edgestore-test-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Random bytes under a random id: looks like a sealed chunk to everything that has no key. */
export function madeChunk(bytes = 1000, packClass: PackClass = 'data', identified = true): SealedChunk {
  const sealed = randomBytes(bytes);
  return {
    id: new Uint8Array(randomBytes(32)),
    packClass,
    keyId: 1,
    bytes: sealed,
    sha256: createHash('sha256').update(sealed).digest(),
    identified,
  };
}

/** Stores the chunks as one flush; so as one pack a class when they fit. */
export async function storeChunks(store: OpenedStore, chunks: readonly SealedChunk[]): Promise<void> {
  const session = store.index.chunks.beginSession('test');
  const writer = store.chunks.openWriter();
  for (const chunk of chunks) await writer.add(chunk);
  await writer.close();
  store.index.chunks.endSession(session);
}

/** Which of the chunks come back byte for byte. */
export async function readable(store: OpenedStore, chunks: readonly SealedChunk[]): Promise<boolean[]> {
  const addresses = await store.chunks.locate(chunks.map((chunk) => chunk.id));
  const read = new Map<string, Uint8Array>();
  for await (const outcome of store.chunks.fetch(addresses.filter((address) => address !== undefined))) {
    if ('sealed' in outcome) read.set(Buffer.from(outcome.address.id).toString('hex'), outcome.sealed);
  }
  return chunks.map((chunk) => {
    const bytes = read.get(Buffer.from(chunk.id).toString('hex'));
    return bytes !== undefined && Buffer.from(chunk.bytes).equals(bytes);
  });
}
