/** Captures a root that is a folder: wires scanner, walk, readers and finisher together, and stops them together. */
import { EdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import type { ScanSettings } from '../pipeline/scan-types.ts';
import type { Entry } from '../tree/entry.ts';
import type { CaptureRun } from './capture-run.ts';
import { countBelow, recallFolder } from './earlier-snapshot.ts';
import { Finisher, type FinisherDeps } from './finisher.ts';
import { FolderNode } from './folder-node.ts';
import { FolderWalk } from './folder-walk.ts';
import { startIgnoreChain } from './ignore-chains.ts';
import { LargeFiles } from './large-files.ts';
import { inodesOf, type RootSource } from './root-source.ts';
import { Scanner } from './scanner.ts';
import { SmallFiles } from './small-files.ts';
import { entryStored, rowStored } from './stored-content.ts';
import { makeUnfinishedTree } from './unfinished-tree.ts';

const UNFINISHED_EVERY_MS = 10 * 60_000;
/** How often, while only reading is left to do, it is looked whether a stop or a snapshot is due. */
const TICK_MS = 500;

/** The root's entry with its pages; everything below it is stored or handed to the writer. */
export async function captureFolderRoot(
  source: RootSource & { readonly kind: 'folder' },
  run: CaptureRun,
): Promise<Entry> {
  const folder = new FolderRoot(source, run);
  try {
    return await folder.capture();
  } catch (error) {
    run.fail(error);
    await folder.stop();
    run.throwFailure();
    throw error;
  }
}

class FolderRoot {
  readonly #source: RootSource & { readonly kind: 'folder' };
  readonly #run: CaptureRun;
  readonly #root: FolderNode;
  readonly #scanner: Scanner;
  readonly #small: SmallFiles;
  readonly #large: LargeFiles;
  readonly #finisher: Finisher;
  readonly #walk: FolderWalk;
  #lastUnfinishedMs: number;
  #walking: Promise<void> = Promise.resolve();

  constructor(source: RootSource & { readonly kind: 'folder' }, run: CaptureRun) {
    const { input, deps, fail, lanes, intake, captureSeconds } = run;
    const { pool } = deps;
    const { folders } = deps.index;
    const rootName = input.root.name;
    const { base } = source;
    this.#source = source;
    pool.announce('scan');
    this.#run = run;
    this.#lastUnfinishedMs = deps.clock.monotonicMs();
    const earlier = run.before?.body.entry;
    const earlierPages = earlier?.type === 'dir' ? new Uint8Array(Buffer.concat(earlier.pages ?? [])) : undefined;
    this.#root = new FolderNode(undefined, undefined, startIgnoreChain(input.root.exclude ?? []), earlierPages);
    this.#scanner = new Scanner({
      pool,
      folders,
      rootName,
      settings: scanSettings(source, run),
      fullScan: input.fullScan === true,
      epoch: run.epoch,
      allStored: (ids) => run.allStored(ids),
      recall: (pages) => recallFolder(pages, deps),
      dropRow: (key) => run.droppedRows.push(key),
      fail,
    });
    this.#small = new SmallFiles({ pool, lanes, intake, base, captureSeconds, fail, isFailed: () => run.isFailed });
    this.#large = new LargeFiles({
      pool,
      intake,
      base,
      captureSeconds,
      fail,
      progress: (bytes) => {
        run.tally.done.bytes += bytes;
      },
      isStopped: () => run.isFailed || deps.signal?.aborted === true,
    });
    const finished: FinisherDeps['finished'] = (node, folder) => this.#walk.finished(node, folder);
    this.#finisher = new Finisher({ pool, lanes, intake, folders, rootName, finished, fail });
    this.#walk = new FolderWalk(this.#root, {
      scanner: this.#scanner,
      small: this.#small,
      large: this.#large,
      finisher: this.#finisher,
      tally: run.tally,
      rows: run.rows,
      renewRow: (key) => {
        const row = folders.get(rootName, key);
        if (row !== undefined) run.rows.add(key, row.value);
      },
      forgotten: run.forgotten,
      dryRun: input.dryRun === true,
      keepEarlier: (node) => this.#keepEarlier(node),
      entryStored: (encoded) => entryStored(encoded, run.storedContent),
      fail,
      between: () => this.#between(),
    });
  }

  async capture(): Promise<Entry> {
    const { failed } = this.#run;
    this.#walking = this.#walk.run();
    await Promise.race([this.#walking, failed]);
    const pages = await Promise.race([this.#rest(), failed]);
    // The pages of the last folders may still be on their way into a pack.
    await Promise.race([this.#run.lanes.idle(), failed]);
    return { ...this.#source.entry, pages };
  }

  /** Lets go of everything; what workers are at is waited for, so that nothing of this capture goes on. */
  async stop(): Promise<void> {
    this.#scanner.stop();
    this.#large.resume();
    // The walk ends by what made the capture fail; that it fails itself is no news.
    await Promise.allSettled([this.#walking]);
    await this.#run.lanes.idle();
    await this.#large.idle();
    await this.#scanner.idle();
  }

  /** Waits for what is still being read after the walk has ended. */
  async #rest(): Promise<readonly Uint8Array[]> {
    const { clock } = this.#run.deps;
    for (;;) {
      const over = new AbortController();
      const tick = clock.sleep(TICK_MS, over.signal).then(
        () => undefined,
        () => undefined,
      );
      const pages = await Promise.race([this.#walk.done, tick]);
      over.abort();
      if (pages !== undefined) return pages;
      await this.#between();
    }
  }

  /** Called often, where nothing is half done: goes on, waits, or throws to stop. */
  async #between(): Promise<void> {
    const { deps, intake } = this.#run;
    this.#run.throwFailure();
    this.#run.reportProgress(this.#scanner.isDone);
    if (deps.signal?.aborted === true) {
      this.#scanner.stop();
      await this.#quiesce();
      await this.#storeUnfinished();
      throw new EdgeError('E_INTERRUPTED', 'interrupted; what is stored so far is kept and will not be stored again');
    }
    const isDue = deps.clock.monotonicMs() - this.#lastUnfinishedMs >= this.#everyMs;
    if (!isDue && !intake.isFull) return;
    await this.#quiesce();
    if (intake.isFull) {
      await this.#run.store();
      await intake.trim();
    }
    if (isDue) await this.#storeUnfinished();
    this.#large.resume();
  }

  get #everyMs(): number {
    return this.#run.input.unfinishedEveryMs ?? UNFINISHED_EVERY_MS;
  }

  /** Resolves when no chunk is between being named and being handed to the writer, and no folder is being finished. */
  async #quiesce(): Promise<void> {
    await this.#small.send();
    await this.#large.pause();
    do {
      await this.#run.lanes.idle();
      await new Promise((resolve) => setImmediate(resolve));
    } while (!this.#finisher.isIdle || this.#run.lanes.isBusy);
    this.#run.throwFailure();
  }

  /** Records what there is so far, in a first capture only: later ones have a whole snapshot before them. */
  async #storeUnfinished(): Promise<void> {
    const { input, before, deps, tally } = this.#run;
    this.#lastUnfinishedMs = deps.clock.monotonicMs();
    if (input.dryRun === true) return;
    const isFirst = before === undefined || before.body.unfinished === true;
    const tree = isFirst ? await makeUnfinishedTree(this.#root, (jobs) => this.#finisher.finishNow(jobs)) : undefined;
    await this.#run.store();
    failpoint('capture.unfinished-chunks-durable');
    if (tree === undefined) return;
    const stats = { ...tally.stored };
    for (const key of ['files', 'dirs', 'others', 'bytes'] as const) stats[key] += tree.counts[key];
    // A run that went on from an unfinished snapshot must not end in a smaller one.
    if (stats.files <= (before?.body.stats.files ?? 0)) return;
    const body = this.#run.body({ ...this.#source.entry, pages: tree.pages }, stats);
    const { link } = await deps.chain.append(body, this.#run.shard);
    failpoint('capture.unfinished-recorded');
    for (const { path, value } of tree.rows) this.#run.rows.add(path, value);
    this.#run.rememberFolders(link);
  }

  /** Counts what an unreadable folder had in the snapshot before, and says whether all of that is still stored. */
  async #keepEarlier(node: FolderNode): Promise<boolean> {
    const { deps, epoch, input, tally } = this.#run;
    if (node.earlierPages === undefined) return false;
    let isStored = this.#run.allStored(node.earlierPages);
    const counts = await countBelow(node.path, node.earlierPages, async (key, pages) => {
      const cached = deps.index.folders.get(input.root.name, key);
      const isEmpty = pages === undefined || pages.length === 0;
      const row = cached?.value ?? (isEmpty ? undefined : await recallFolder(pages, deps));
      if (row === undefined) {
        // An empty folder has no pages, and may have no row; a part always has one.
        isStored &&= pages !== undefined && isEmpty;
      } else if (cached?.epoch !== epoch) {
        const { ids } = await deps.pool.run('stateChunks', { rows: [new Uint8Array(row)] });
        // Where chunks are named in lists, the row alone cannot tell.
        isStored &&= ids[0] === undefined ? await rowStored(row, this.#run.storedContent) : this.#run.allStored(ids[0]);
      }
      return row;
    });
    tally.matched += counts.files + counts.others;
    if (isStored) tally.addStored(counts);
    return isStored;
  }
}

function scanSettings(
  source: RootSource & { readonly kind: 'folder' },
  { input, deps, captureSeconds }: CaptureRun,
): ScanSettings {
  const leftOut = inodesOf([deps.dataDir.path, deps.dataDir.packDir]);
  if (leftOut.includes(source.inode)) {
    throw new EdgeError('E_USAGE', 'a data dir of edgestore cannot be a root', {
      hint: 'Choose the folder to protect.',
    });
  }
  const device = input.root.oneFileSystem === true ? { device: source.device } : {};
  return { base: source.base, captureSeconds, leftOut, ...device };
}
