/** An agent with a data dir of its own, for tests of capture: real index, packs, log and workers; and a reader of what was captured. */

import { capture } from '../capture/capture.ts';
import type { CaptureDeps, CaptureInput, CaptureReport } from '../capture/capture-types.ts';
import { createOpener } from '../codec/open.ts';
import { loadSodium } from '../codec/sodium.ts';
import { type ChunkId, ChunkKind, toHex } from '../core/ids.ts';
import type { WorkerPool } from '../core/ports/worker-pool.ts';
import type { SnapshotBody } from '../log/record-body.ts';
import type { PipelineTasks } from '../pipeline/tasks.ts';
import { createWorkerPool } from '../pipeline/worker-pool.ts';
import { decodeList } from '../tree/content-list.ts';
import { decodePage } from '../tree/decode-page.ts';
import type { Entry } from '../tree/entry.ts';
import { FIXTURE_SELF, fixtureKeys, type OpenedStore, openStore } from './store-fixture.ts';

const sodium = await loadSodium();
const AGENT = FIXTURE_SELF;

export interface CaptureFixture {
  readonly store: OpenedStore;
  readonly deps: CaptureDeps;
  readonly warnings: string[];
  capture(input: Omit<CaptureInput, 'program'>, deps?: Partial<CaptureDeps>): Promise<CaptureReport>;
  /** The snapshot that a report (or id) names. */
  snapshot(of: CaptureReport | string): SnapshotBody;
  /** Every entry of a snapshot by its path as latin1 (`''` for the root); each page and chunk is opened and identified. */
  entries(of: CaptureReport | SnapshotBody | string): Promise<Map<string, Entry>>;
  /** A file's bytes, with its holes as zeros. */
  content(entry: Entry): Promise<Buffer>;
  close(): Promise<void>;
}

export interface CaptureFixtureOptions {
  readonly workers?: number;
  readonly floorBytes?: number;
  readonly chunker?: { readonly min: number; readonly avg: number; readonly max: number };
  /** Workers of another fixture, which then are not closed with this one. */
  readonly pool?: WorkerPool<PipelineTasks>;
}

/** Small chunks, so that small files have several. */
const CHUNKER = { min: 4096, avg: 16_384, max: 65_536 };

export function captureFixturePool(workers: number, chunker = CHUNKER): WorkerPool<PipelineTasks> {
  const keys = fixtureKeys();
  return createWorkerPool({ size: workers, config: { keys, chunker, level: 3, randomSeed: new Uint8Array(8) } });
}

export async function openCaptureFixture(path: string, options: CaptureFixtureOptions = {}): Promise<CaptureFixture> {
  const keys = fixtureKeys();
  const { floorBytes = 0 } = options;
  const store = await openStore(path, { floorBytes });
  const pool = options.pool ?? captureFixturePool(options.workers ?? 2, options.chunker);
  const warnings: string[] = [];
  const { realClock } = await import('./real-clock.ts');
  const deps: CaptureDeps = {
    clock: realClock,
    index: store.index,
    chunks: store.chunks,
    chain: store.chain,
    chains: store.chains,
    pool,
    keys,
    identity: { agentId: AGENT },
    dataDir: store.dataDir,
    warn: ({ message }) => warnings.push(message),
  };
  const opener = createOpener(sodium, keys);

  const open = async (kind: ChunkKind, id: ChunkId): Promise<Uint8Array> => {
    const [address] = await store.chunks.locate([id]);
    if (address === undefined) throw new Error(`chunk ${toHex(id)} is not stored`);
    for await (const frame of store.chunks.fetch([address])) {
      if ('sealed' in frame) return opener.open(kind, id, address.keyId, frame.sealed);
    }
    throw new Error(`chunk ${toHex(id)} cannot be read`);
  };
  const snapshot = (of: CaptureReport | string): SnapshotBody => {
    const id = typeof of === 'string' ? of : of.snapshot;
    const row = store.index.log.snapshots({ agent: AGENT }).find((one) => one.id === id);
    if (row === undefined) throw new Error(`no snapshot ${id}`);
    return row.body;
  };
  return {
    store,
    deps,
    warnings,
    capture: (input, more = {}) => capture({ program: 'test', ...input }, { ...deps, ...more }),
    snapshot,
    entries: async (of) => {
      const found = new Map<string, Entry>();
      const root = typeof of === 'object' && 'entry' in of ? of.entry : snapshot(of).entry;
      const todo: { readonly path: string; readonly entry: Entry }[] = [{ path: '', entry: root }];
      for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
        found.set(next.path, next.entry);
        for (const id of next.entry.pages ?? []) {
          for (const entry of decodePage(await open(ChunkKind.tree, id))) {
            const name = Buffer.from(entry.name).toString('latin1');
            todo.push({ path: next.path === '' ? name : `${next.path}/${name}`, entry });
          }
        }
      }
      return found;
    },
    content: async (entry) => {
      const refs =
        entry.content?.form === 'lists'
          ? (
              await Promise.all(entry.content.lists.map(async ({ id }) => decodeList(await open(ChunkKind.list, id))))
            ).flat()
          : (entry.content?.refs ?? []);
      const data = Buffer.concat(await Promise.all(refs.map(({ id }) => open(ChunkKind.data, id))));
      const out = Buffer.alloc(entry.size ?? 0);
      let from = 0;
      let at = 0;
      for (const hole of [...(entry.holes ?? []), { offset: entry.size ?? 0, length: 0 }]) {
        data.copy(out, at, from, from + hole.offset - at);
        from += hole.offset - at;
        at = hole.offset + hole.length;
      }
      return out;
    },
    close: async () => {
      store.close();
      if (options.pool === undefined) await pool.close();
    },
  };
}
