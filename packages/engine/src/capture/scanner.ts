/** Lists folders ahead of the walk that takes them in order, on all workers, and never too far ahead. */
import type { FolderCache } from '../core/ports/index.ts';
import type { WorkerPool } from '../core/ports/worker-pool.ts';
import { FolderStateReader } from '../pipeline/folder-state.ts';
import type { ScanRequest, ScanSettings } from '../pipeline/scan-folder.ts';
import type { PipelineTasks } from '../pipeline/tasks.ts';
import { FolderNode } from './folder-node.ts';
import { extendIgnoreChain } from './ignore-chains.ts';

export interface ScannerDeps {
  readonly pool: WorkerPool<PipelineTasks>;
  readonly folders: Pick<FolderCache, 'get'>;
  readonly rootName: string;
  readonly settings: ScanSettings;
  readonly fullScan: boolean;
  /** Loss epoch in which a cache row has to have been written to be believed without asking. */
  readonly epoch: number;
  /** Which of the ids (32 bytes each, joined) are stored: true when all are. */
  readonly allStored: (ids: Uint8Array) => boolean;
  /** What the last snapshot has of a folder that is not in the cache, as a cache row; undefined when that cannot be told. */
  readonly recall: (pages: Uint8Array) => Promise<Uint8Array | undefined>;
  readonly fail: (error: unknown) => void;
}

/** Folders in one message. */
const BATCH_FOLDERS_MAX = 48;
/** Bytes of cache rows in one message. */
const BATCH_ROW_BYTES_MAX = 1 << 20;
/** Entries that are listed and not taken yet: bounds memory when listing is faster than reading. */
const ENTRIES_AHEAD_MAX = 50_000;
const BATCHES_PER_WORKER = 2;

export class Scanner {
  readonly #deps: ScannerDeps;
  /** Folders found and not asked for yet; the end is what the walk comes to first. */
  readonly #found: FolderNode[] = [];
  readonly #waiting = new Map<FolderNode, () => void>();
  readonly #idleWaiting: (() => void)[] = [];
  #inFlight = 0;
  #ahead = 0;
  #stopped = false;

  constructor(deps: ScannerDeps) {
    this.#deps = deps;
  }

  add(node: FolderNode): void {
    this.#found.push(node);
    this.#pump();
  }

  /** Resolves when the folder has been scanned (or the scan was stopped). The walk takes it then: it no longer counts as ahead. */
  async scanned(node: FolderNode): Promise<void> {
    if (node.status === 'found' && !this.#stopped) this.#send([node]);
    if (node.status === 'scanning') {
      await new Promise<void>((resolve) => this.#waiting.set(node, resolve));
    }
    this.#ahead -= node.entries;
    this.#pump();
  }

  /** Asks for nothing more, and lets go of who waits. */
  stop(): void {
    this.#stopped = true;
    for (const resolve of this.#waiting.values()) resolve();
    this.#waiting.clear();
  }

  #pump(): void {
    while (
      !this.#stopped &&
      this.#inFlight < this.#deps.pool.size * BATCHES_PER_WORKER &&
      this.#ahead < ENTRIES_AHEAD_MAX
    ) {
      const nodes: FolderNode[] = [];
      // A short message while there is little to do keeps the other workers busy.
      const limit = Math.min(BATCH_FOLDERS_MAX, Math.ceil(this.#found.length / this.#deps.pool.size));
      while (nodes.length < limit && this.#found.length > 0) {
        const node = this.#found.pop()!;
        if (node.status === 'found') nodes.push(node);
      }
      if (nodes.length === 0) return;
      this.#send(nodes);
    }
  }

  #send(nodes: readonly FolderNode[]): void {
    for (const node of nodes) node.status = 'scanning';
    this.#inFlight++;
    void this.#scan(nodes)
      .catch((error: unknown) => {
        this.stop();
        this.#deps.fail(error);
      })
      .finally(() => {
        this.#inFlight--;
        if (this.#inFlight === 0) for (const resolve of this.#idleWaiting.splice(0)) resolve();
        this.#pump();
      });
  }

  async #scan(nodes: readonly FolderNode[]): Promise<void> {
    const { pool, settings } = this.#deps;
    for (let from = 0; from < nodes.length; ) {
      const folders: ScanRequest[] = [];
      let bytes = 0;
      let to = from;
      for (; to < nodes.length && bytes < BATCH_ROW_BYTES_MAX; to++) {
        const request = this.#request(nodes[to]!);
        const ready = request instanceof Promise ? await request : request;
        bytes += ready.row?.length ?? 0;
        folders.push(ready);
      }
      const transfer = folders.flatMap(({ row }) => (row === undefined ? [] : [row.buffer as ArrayBuffer]));
      const replies = await pool.run('scan', { settings, folders }, { transfer });
      // In reverse, so that the first folder's children end up where they are taken first.
      for (let i = replies.folders.length - 1; i >= 0; i--) this.#take(nodes[from + i]!, replies.folders[i]!);
      from = to;
    }
  }

  /** What to ask about a folder, with what is remembered of it. */
  #request(node: FolderNode): ScanRequest | Promise<ScanRequest> {
    const { folders, rootName, fullScan, epoch, recall } = this.#deps;
    const common = { path: node.path, ignore: node.ignore, inode: node.scanned?.inode };
    const cached = folders.get(rootName, node.path);
    if (cached === undefined) {
      const pages = node.earlierPages;
      if (pages === undefined || pages.length === 0) return { ...common, readAll: true, trusted: false };
      return recall(pages).then((row) => ({ ...common, row, readAll: true, trusted: false }));
    }
    // In memory of its own, so that it can move to the worker.
    const row = new Uint8Array(cached.value);
    node.rowPages = FolderStateReader.open(row)?.pageIds() ?? [];
    if (cached.epoch === epoch) {
      node.trusted = true;
      return { ...common, row, readAll: fullScan, trusted: true };
    }
    return this.#check(node, row).then((trusted) => ({ ...common, row, readAll: fullScan || !trusted, trusted }));
  }

  /** Whether all that a row of another epoch relies on is still stored. */
  async #check(node: FolderNode, row: Uint8Array): Promise<boolean> {
    const { ids } = await this.#deps.pool.run('stateChunks', { rows: [row] });
    node.trusted = ids[0] !== undefined && this.#deps.allStored(ids[0]);
    // Its row is written again, under the epoch of now.
    node.recheck = true;
    return node.trusted;
  }

  /** True when everything found has been listed. */
  get isDone(): boolean {
    return this.#found.length === 0 && this.#inFlight === 0;
  }

  /** Resolves when no worker lists anything for this capture any more. */
  async idle(): Promise<void> {
    while (this.#inFlight > 0) await new Promise<void>((resolve) => this.#idleWaiting.push(resolve));
  }

  #take(node: FolderNode, reply: NonNullable<FolderNode['reply']>): void {
    node.reply = reply;
    node.status = 'scanned';
    this.#ahead += node.entries;
    const ignore = extendIgnoreChain(node.ignore, node.path, reply.ignoreText);
    const wasThere = node.earlierPages !== undefined;
    for (let i = reply.dirs.length - 1; i >= 0; i--) {
      const dir = reply.dirs[i]!;
      const child = new FolderNode(node, dir, ignore, wasThere && dir.wasThere ? dir.pages : undefined);
      node.open.add(child);
      if (!dir.closed) this.#found.push(child);
    }
    this.#waiting.get(node)?.();
    this.#waiting.delete(node);
  }
}
