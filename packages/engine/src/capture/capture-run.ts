/** What one capture has under way: what it stores through, what it counts, and the first thing that went wrong. */
import { toEdgeError } from '../core/errors.ts';
import type { RecordHash } from '../core/ids.ts';
import type { ChunkWriter } from '../core/ports/chunk-store.ts';
import type { SnapshotRow } from '../core/ports/index.ts';
import type { SnapshotBody } from '../log/record-body.ts';
import type { Entry } from '../tree/entry.ts';
import type { CaptureDeps, CaptureInput, CaptureReport } from './capture-types.ts';
import { ChunkIntake } from './chunk-intake.ts';
import { splitIds } from './earlier-snapshot.ts';
import { HeldChunks } from './held-chunks.ts';
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
  readonly shard: number;
}

export class CaptureRun {
  readonly input: CaptureInput;
  readonly deps: CaptureDeps;
  readonly before: SnapshotRow | undefined;
  readonly tally: Tally;
  readonly writer: ChunkWriter;
  readonly intake: ChunkIntake;
  readonly held: HeldChunks;
  /** The shard of the root, in which all that the snapshot reaches is held. */
  readonly shard: number;
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
  readonly #startNs: bigint;
  readonly #lossEpoch: number;
  #failure: { readonly error: unknown } | undefined;
  #reject!: (error: unknown) => void;

  constructor({ input, deps, before, session, startNs, shard }: CaptureRunOptions) {
    this.input = input;
    this.deps = deps;
    this.before = before;
    this.tally = new Tally(deps.warn);
    this.shard = shard;
    this.held = new HeldChunks({
      self: deps.identity.agentId,
      shard,
      session,
      chain: deps.chain,
      chains: deps.chains,
      index: deps.index.chunks,
      placed: deps.placed,
      fail: (error) => this.fail(error),
    });
    const { held } = this;
    this.writer = deps.chunks.openWriter({ onPack: (packClass, frames) => held.addPack(packClass, frames) });
    const keyId = deps.keys.currentKeyId;
    this.intake = new ChunkIntake({
      index: deps.index.chunks,
      writer: this.writer,
      session,
      keyId,
      hold: (ids) => held.hold(ids),
    });
    this.rows = new RowStore(deps.index.folders, input.root.name);
    this.lanes = new WorkerLanes(deps.pool.size);
    this.epoch = rowsAreOf(before, shard, input.root.name, deps) ? deps.index.chunks.lossEpoch() : NEVER;
    this.#lossEpoch = deps.index.chunks.lossEpoch();
    this.captureSeconds = Number(startNs / 1_000_000_000n);
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

  /** Whether all these chunks (ids of 32 bytes, joined) are stored; claims them for this capture, and has them held. */
  allStored(ids: Uint8Array): boolean {
    return ids.length === 0 || this.held.allStored(splitIds(ids));
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
  rememberFolders(snapshot: RecordHash): void {
    if (this.deps.index.chunks.lossEpoch() === this.#lossEpoch) {
      // Rows are believed only while the snapshot that reaches what they name is the newest live one.
      this.deps.index.kv.set(rowsKey(this.input.root.name), `${snapshot}/${this.shard}`);
      this.rows.commit();
    } else this.rows.discard();
  }

  /** Makes everything durable that was stored, and has it held. */
  async store(): Promise<void> {
    await this.writer.flush();
    await this.requireHeld();
  }

  /** Everything that was stored is in durable packs. */
  async requireHeld(): Promise<void> {
    await this.held.added();
    for (const ids of this.intake.storedSince()) await this.held.requireHeld(ids);
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
    snapshot: { readonly link: RecordHash; readonly seq: number } | undefined,
    treeUnchanged: boolean,
    durationS: number,
  ): CaptureReport {
    const { tally } = this;
    const { counts } = this.intake;
    return {
      root: this.input.root.name,
      snapshot: snapshot?.link,
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

/** A loss epoch that no row has. */
const NEVER = -1;

/** Which snapshot reaches what the root's cache rows name, and in which shard that is held. */
function rowsKey(root: string): string {
  return `capture.rows.${root}`;
}

function rowsAreOf(before: SnapshotRow | undefined, shard: number, root: string, deps: CaptureDeps): boolean {
  return before === undefined || deps.index.kv.get(rowsKey(root)) === `${before.id}/${shard}`;
}
