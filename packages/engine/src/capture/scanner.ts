/** Lists folders ahead of the walk that takes them in order, on all workers, and never too far ahead. */
import type { FolderCache } from '../core/ports/index.ts';
import type { WorkerPool } from '../core/ports/worker-pool.ts';
import { FolderRowsWriter } from '../pipeline/folder-rows.ts';
import { FolderStateReader } from '../pipeline/folder-state.ts';
import type { IgnoreChain } from '../pipeline/ignore-chain.ts';
import type { NameRange, ScanRequest, ScanSettings } from '../pipeline/scan-types.ts';
import type { PipelineTasks } from '../pipeline/tasks.ts';
import { type EarlierRow, EarlierRows, partKey, partsInRow } from './earlier-rows.ts';
import { splitIds } from './earlier-snapshot.ts';
import { FolderNode, type FolderPart } from './folder-node.ts';
import { extendIgnoreChain } from './ignore-chains.ts';

export interface ScannerDeps {
  readonly pool: WorkerPool<PipelineTasks>;
  readonly folders: Pick<FolderCache, 'get' | 'below'>;
  readonly rootName: string;
  readonly settings: ScanSettings;
  readonly fullScan: boolean;
  /** Loss epoch in which a cache row has to have been written to be believed without asking. */
  readonly epoch: number;
  /** Which of the ids (32 bytes each, joined) are stored: true when all are. */
  readonly allStored: (ids: Uint8Array) => boolean;
  /** What the last snapshot has of a folder that is not in the cache, as a cache row; undefined when that cannot be told. */
  readonly recall: (pages: Uint8Array) => Promise<Uint8Array | undefined>;
  /** Has a cache row removed with the snapshot. */
  readonly dropRow: (key: Uint8Array) => void;
  readonly fail: (error: unknown) => void;
}

/** Folders in one message. */
const BATCH_FOLDERS_MAX = 48;
/** Bytes of cache rows in one message. */
const BATCH_ROW_BYTES_MAX = 512 << 10;
/** Bytes of rows of what lies below a folder that go along with it; fewer while that would keep workers waiting for the first answer. */
const BELOW_BYTES_MAX = 256 << 10;
const FIRST_BELOW_BYTES_MAX = 16 << 10;
/** Entries that are listed and not taken yet: bounds memory when listing is faster than reading. */
const ENTRIES_AHEAD_MAX = 50_000;
const BATCHES_PER_WORKER = 2;
/** Pages of an earlier snapshot made into one row: at most some 60 MiB, mostly a tenth of that. */
const RECALL_PAGES_MAX = 64;

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
        for (const row of ready.rows) bytes += row.length;
        bytes += ready.below?.length ?? 0;
        folders.push(ready);
      }
      // The parts of a folder go where its listing is.
      const worker = nodes[from]!.part === undefined ? pool.leastLoaded() : nodes[from]!.parent!.worker;
      const transfer = folders.flatMap(({ rows, below }) =>
        [...rows, ...(below ? [below] : [])].map(({ buffer }) => buffer),
      );
      const replies = await pool.run('scan', { settings, folders }, { worker, transfer: transfer as ArrayBuffer[] });
      // In reverse, so that the first folder's children end up where they are taken first.
      for (let i = replies.folders.length - 1; i >= 0; i--) this.#take(nodes[from + i]!, replies.folders[i]!, worker);
      from = to;
    }
  }

  /** What to ask about a folder, with what is remembered of it. */
  #request(node: FolderNode): ScanRequest | Promise<ScanRequest> {
    if (node.part !== undefined) return this.#partRequest(node, node.part);
    const { folders, rootName, fullScan, epoch, recall } = this.#deps;
    const { path, ignore, scanned, earlierPages } = node;
    const common = { path, ignore, inode: scanned?.inode, isAligned: true };
    const cached = folders.get(rootName, path);
    if (cached === undefined) {
      const nothing = { ...common, rows: [], readAll: true, trusted: false };
      if (earlierPages === undefined || earlierPages.length === 0) return nothing;
      if (earlierPages.length > RECALL_PAGES_MAX * 32) return { ...nothing, inParts: true };
      return recall(earlierPages).then((row) => (row === undefined ? nothing : { ...nothing, rows: [row] }));
    }
    // In memory of its own, so that it can move to the worker.
    const row = new Uint8Array(cached.value);
    const state = FolderStateReader.open(row);
    if (state !== undefined && state.parts > 1)
      return { ...common, rows: [], readAll: fullScan, trusted: false, inParts: true };
    node.rowPages = state?.pageIds() ?? [];
    if (cached.epoch === epoch) {
      node.trusted = true;
      return {
        ...common,
        rows: [row],
        readAll: fullScan,
        trusted: true,
        below: fullScan ? undefined : this.#below(path),
      };
    }
    return this.#isStored(row).then((trusted) => {
      node.trusted = trusted;
      // Its row is written again, under the epoch of now.
      node.recheck = true;
      return { ...common, rows: [row], readAll: fullScan || !trusted, trusted };
    });
  }

  /** Rows of folders below this one: most are as they were, and then no folder of the subtree is asked for by itself. */
  #below(path: Uint8Array): Uint8Array | undefined {
    const { folders, rootName, epoch } = this.#deps;
    const bytesMax = this.#found.length < this.#deps.pool.size ? FIRST_BELOW_BYTES_MAX : BELOW_BYTES_MAX;
    let rows: FolderRowsWriter | undefined;
    for (const row of folders.below(rootName, path, epoch)) {
      // The second and later parts of a folder. It is asked for by itself, and so is what comes after.
      if (row.path.includes(0)) break;
      rows ??= new FolderRowsWriter();
      rows.add(row.path, row.value);
      if (rows.length >= bytesMax) break;
    }
    return rows?.take();
  }

  async #partRequest(node: FolderNode, { index, of, range }: FolderPart): Promise<ScanRequest> {
    const folder = node.parent!;
    folder.earlierRows ??= this.#earlierRows(folder);
    const rows = await folder.earlierRows.overlapping(range);
    const isAligned = rows.length === 1 && rows[0]!.part === index && (index > 0 || folder.earlierRows.parts === of);
    node.trusted = rows.every((row) => row.trusted);
    node.recheck = rows.some((row) => row.recheck);
    node.rowPages = isAligned ? (FolderStateReader.open(rows[0]!.row)?.pageIds() ?? []) : [];
    return {
      path: node.path,
      ignore: node.ignore,
      inode: folder.scanned?.inode,
      // Copies: a row may reach into the next part, too.
      rows: rows.map(({ row }) => new Uint8Array(row)),
      isAligned,
      range,
      readAll: this.#deps.fullScan || !node.trusted,
      trusted: node.trusted,
    };
  }

  #earlierRows({ path, earlierPages }: FolderNode): EarlierRows {
    const { folders, rootName, epoch, recall } = this.#deps;
    const first = folders.get(rootName, path);
    if (first === undefined) {
      const groups: (() => Promise<EarlierRow | undefined>)[] = [];
      for (let at = 0; at < (earlierPages?.length ?? 0); at += RECALL_PAGES_MAX * 32) {
        const pages = earlierPages!.subarray(at, at + RECALL_PAGES_MAX * 32);
        groups.push(async () => {
          const row = await recall(pages);
          return row === undefined ? undefined : { row, part: undefined, trusted: false, recheck: false };
        });
      }
      return new EarlierRows(0, groups);
    }
    const parts = partsInRow(first.value);
    const load = async (part: number): Promise<EarlierRow | undefined> => {
      const cached = folders.get(rootName, partKey(path, part));
      if (cached === undefined) return undefined;
      const row = new Uint8Array(cached.value);
      const recheck = cached.epoch !== epoch;
      return { row, part, trusted: !recheck || (await this.#isStored(row)), recheck };
    };
    return new EarlierRows(
      parts,
      Array.from({ length: parts }, (_, part) => () => load(part)),
    );
  }

  /** Whether all that a row of another epoch relies on is still stored. */
  async #isStored(row: Uint8Array): Promise<boolean> {
    const { ids } = await this.#deps.pool.run('stateChunks', { rows: [row] });
    return ids[0] !== undefined && this.#deps.allStored(ids[0]);
  }

  /** True when everything found has been listed. */
  get isDone(): boolean {
    return this.#found.length === 0 && this.#inFlight === 0;
  }

  /** Resolves when no worker lists anything for this capture any more. */
  async idle(): Promise<void> {
    while (this.#inFlight > 0) await new Promise<void>((resolve) => this.#idleWaiting.push(resolve));
  }

  #take(node: FolderNode, reply: NonNullable<FolderNode['reply']>, worker: number): void {
    node.reply = reply;
    node.worker = worker;
    node.status = 'scanned';
    this.#ahead += node.entries;
    const ignore = extendIgnoreChain(node.ignore, node.path, reply.ignoreText);
    if (reply.parts !== undefined) this.#split(node, reply.parts, ignore);
    const earlier = node.part === undefined ? node.earlierPages : node.parent!.earlierPages;
    for (let i = reply.dirs.length - 1; i >= 0; i--) {
      const dir = reply.dirs[i]!;
      const child = new FolderNode(node, dir, ignore, earlier !== undefined && dir.wasThere ? dir.pages : undefined);
      node.open.add(child);
      if (dir.closed) continue;
      if (dir.along === undefined) this.#found.push(child);
      else {
        child.trusted = true;
        child.rowPages = splitIds(dir.along.rowPages);
        this.#take(child, dir.along.reply, worker);
      }
    }
    this.#waiting.get(node)?.();
    this.#waiting.delete(node);
  }

  /** Parts are scanned when the walk comes to them: each may have as many entries as are listed ahead. */
  #split(folder: FolderNode, ranges: readonly NameRange[], ignore: IgnoreChain | undefined): void {
    for (const [index, range] of ranges.entries()) {
      folder.open.add(new FolderNode(folder, undefined, ignore, undefined, { index, of: ranges.length, range }));
    }
    folder.earlierRows = this.#earlierRows(folder);
    for (let part = ranges.length; part < folder.earlierRows.parts; part++)
      this.#deps.dropRow(partKey(folder.path, part));
  }
}
