/** What one capture has under way: what it stores through, what it counts, and the first thing that went wrong. */
import { toEdgeError } from '../core/errors.ts';
import type { ChunkWriter } from '../core/ports/chunk-store.ts';
import type { SnapshotRow } from '../core/ports/index.ts';
import type { SnapshotBody } from '../log/record-body.ts';
import type { Entry } from '../tree/entry.ts';
import type { CaptureDeps, CaptureInput, CaptureReport } from './capture-types.ts';
import { ChunkIntake } from './chunk-intake.ts';
import { splitIds } from './earlier-snapshot.ts';
import { RowStore } from './row-store.ts';
import type { StoredContentDeps } from './stored-content.ts';
import { Tally } from './tally.ts';
import { WorkerLanes } from './worker-lanes.ts';

export interface CaptureRunOptions {
  readonly input: CaptureInput;
  readonly deps: CaptureDeps;
  readonly before: SnapshotRow | undefined;
  readonly session: number;
  readonly startNs: bigint;
}

export class CaptureRun {
  readonly input: CaptureInput;
  readonly deps: CaptureDeps;
  readonly before: SnapshotRow | undefined;
  readonly tally: Tally;
  readonly writer: ChunkWriter;
  readonly intake: ChunkIntake;
  readonly rows: RowStore;
  readonly lanes: WorkerLanes;
  /** Folders that are gone, whose cache rows go with the snapshot. */
  readonly forgotten: Uint8Array[] = [];
  /** Keys of single cache rows that go with the snapshot. */
  readonly droppedRows: Uint8Array[] = [];
  /** The loss epoch at the start: cache rows of another one are not believed. */
  readonly epoch: number;
  readonly captureSeconds: number;
  /** Rejects when something goes wrong that ends the capture. */
  readonly failed: Promise<never>;
  readonly #session: number;
  readonly #startNs: bigint;
  #failure: { readonly error: unknown } | undefined;
  #reject!: (error: unknown) => void;

  constructor({ input, deps, before, session, startNs }: CaptureRunOptions) {
    this.input = input;
    this.deps = deps;
    this.before = before;
    this.tally = new Tally(deps.warn);
    this.writer = deps.chunks.openWriter();
    const keyId = deps.keys.currentKeyId;
    this.intake = new ChunkIntake({ index: deps.index.chunks, writer: this.writer, session, keyId });
    this.rows = new RowStore(deps.index.folders, input.root.name);
    this.lanes = new WorkerLanes(deps.pool.size);
    this.epoch = deps.index.chunks.lossEpoch();
    this.captureSeconds = Number(startNs / 1_000_000_000n);
    this.#session = session;
    this.#startNs = startNs;
    this.failed = new Promise((_, reject) => {
      this.#reject = reject;
    });
    // Not everything that fails is being waited for at that moment.
    this.failed.catch(() => {});
  }

  /** Notes the first thing that went wrong; what comes after it follows from it. */
  readonly fail = (error: unknown): void => {
    if (this.#failure !== undefined) return;
    this.#failure = { error: toEdgeError(error) };
    this.#reject(this.#failure.error);
  };

  get isFailed(): boolean {
    return this.#failure !== undefined;
  }

  throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Whether all these chunks (ids of 32 bytes, joined) are stored; claims them for this capture. */
  allStored(ids: Uint8Array): boolean {
    if (ids.length === 0) return true;
    return !this.deps.index.chunks.claim(this.#session, splitIds(ids)).includes(0);
  }

  /** What deciding needs whether something of an earlier snapshot is still stored. */
  get storedContent(): StoredContentDeps {
    return { chunks: this.deps.chunks, pool: this.deps.pool, allStored: (ids) => this.allStored(ids) };
  }

  /** Files of the snapshot before that are gone. */
  get removed(): number {
    const stats = this.before?.body.stats;
    return stats === undefined ? 0 : Math.max(0, stats.files + stats.others - this.tally.matched);
  }

  body(
    entry: Entry,
    unfinished?: { readonly files: number; readonly dirs: number; readonly others: number; readonly bytes: number },
  ): SnapshotBody {
    const { input, before, tally } = this;
    const { newBytes, storedBytes } = this.intake.counts;
    return {
      type: 'snapshot',
      root: input.root.name,
      path: input.root.path,
      timeNs: this.#startNs,
      entry,
      stats: { ...(unfinished ?? tally.stored), newBytes, storedBytes },
      ...(before === undefined ? {} : { parent: before.id }),
      ...(input.tags === undefined ? {} : { tags: input.tags }),
      ...(unfinished === undefined ? {} : { unfinished: true }),
      failed: tally.files.failed,
      program: input.program,
    };
  }

  /** Puts the new cache rows in place, unless a stored chunk was found lost meanwhile: then they may be wrong. */
  rememberFolders(): void {
    if (this.deps.index.chunks.lossEpoch() === this.epoch) this.rows.commit();
    else this.rows.discard();
  }

  async abandon(): Promise<void> {
    this.rows.discard();
    await this.writer.abandon();
  }

  reportProgress(scanDone: boolean): void {
    const { done, scanned } = this.tally;
    this.deps.report?.({
      phase: scanDone ? 'store' : 'scan',
      filesDone: done.files,
      bytesDone: done.bytes,
      ...(scanDone ? { filesTotal: scanned.files + scanned.others, bytesTotal: scanned.bytes } : {}),
    });
  }

  report(
    snapshot: { readonly hash: string; readonly seq: number } | undefined,
    treeUnchanged: boolean,
    durationS: number,
  ): CaptureReport {
    const { tally } = this;
    const { counts } = this.intake;
    return {
      root: this.input.root.name,
      snapshot: snapshot?.hash,
      seq: snapshot?.seq,
      files: { ...tally.files, removed: this.removed },
      bytes: { scanned: tally.scanned.bytes, read: tally.bytesRead, new: counts.newBytes, stored: counts.storedBytes },
      chunks: { new: counts.new, reused: counts.reused },
      failures: tally.failures,
      failuresOmitted: tally.failuresOmitted,
      treeUnchanged,
      durationS,
    };
  }
}
