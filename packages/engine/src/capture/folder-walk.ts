/**
 * Takes the folders of a root in order (a folder before those in it, names by bytes), has their files read, and finishes each folder when all in it is
 * done. The order decides which of several hard links is the first, and lays neighbours side by side in packs.
 */
import { bytesEqual } from '../core/bytes.ts';
import { EdgeError } from '../core/errors.ts';
import { TREE_DEPTH_MAX } from '../core/limits.ts';
import { joinPath } from '../files/path-bytes.ts';
import type { FinishedFolder } from '../pipeline/finish-folder.ts';
import type { ScannedFolder, SubtreeCounts } from '../pipeline/scan-types.ts';
import { splitIds } from './earlier-snapshot.ts';
import { FolderFiles, type FolderFilesDeps } from './folder-files.ts';
import type { FolderNode } from './folder-node.ts';

export interface FolderWalkDeps extends FolderFilesDeps {
  readonly scanner: { add(node: FolderNode): void; scanned(node: FolderNode): Promise<void> };
  readonly small: FolderFilesDeps['small'] & { send(): Promise<void> };
  readonly finisher: { add(node: FolderNode): void };
  readonly rows: { add(path: Uint8Array, value: Uint8Array): void };
  /** Writes a folder's cache row again as it is, under the loss epoch of now. */
  readonly renewRow: (key: Uint8Array) => void;
  /** Folders whose cache rows are to go after the snapshot. */
  readonly forgotten: Uint8Array[];
  /** Counts what stands for a folder that cannot be read, and says whether it is still stored. */
  readonly keepEarlier: (node: FolderNode) => Promise<boolean>;
}

export class FolderWalk {
  readonly root: FolderNode;
  /** Page ids of the whole root, once it is done. */
  readonly done: Promise<readonly Uint8Array[]>;
  readonly #deps: FolderWalkDeps;
  readonly #files: FolderFiles;
  #resolveDone!: (pages: readonly Uint8Array[]) => void;

  constructor(root: FolderNode, deps: FolderWalkDeps) {
    this.root = root;
    this.#deps = deps;
    this.#files = new FolderFiles(deps, (node) => this.#release(node));
    this.done = new Promise((resolve) => {
      this.#resolveDone = resolve;
    });
  }

  /** Takes every folder; resolves when all files have been handed over to be read. */
  async run(): Promise<void> {
    const { scanner, between, small } = this.#deps;
    scanner.add(this.root);
    const open = [this.root];
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      await between();
      if (node.status !== 'scanned') {
        // While the walk waits for a listing, what has gathered need not wait for more.
        await small.send();
        await scanner.scanned(node);
        await between();
      } else await scanner.scanned(node);
      const children = await this.#take(node);
      for (let i = children.length - 1; i >= 0; i--) open.push(children[i]!);
    }
    await small.send();
  }

  /** Hands a finished folder to its parent. */
  finished(node: FolderNode, { row, pages, counts }: FinishedFolder): void {
    this.#deps.rows.add(node.key, row);
    this.#deps.tally.addStored(counts);
    this.#settle(node, pages);
  }

  async #take(node: FolderNode): Promise<FolderNode[]> {
    const { tally, forgotten } = this.#deps;
    const reply = node.reply;
    if (reply === undefined) throw new EdgeError('E_FAILED', 'a folder was taken before it was scanned');
    node.status = 'taken';
    if (reply.gone === true || reply.failure !== undefined) {
      await this.#takeUnreadable(node);
      return [];
    }
    for (const failure of reply.failures) tally.fail(node.path, failure);
    for (const notice of reply.notices) tally.notice(node.path, notice);
    if (node.isSplit) {
      const parts = [...node.open];
      node.waiting += parts.length;
      this.#release(node);
      return parts;
    }
    for (const name of reply.removedDirs) forgotten.push(joinPath(node.path, name));
    tally.addScanned(reply.counts);
    tally.matched += reply.matched;
    tally.files.new += reply.others.added;
    tally.files.changed += reply.others.changed;
    tally.files.unchanged += reply.others.unchanged;
    tally.done.files += reply.others.added + reply.others.changed + reply.others.unchanged;
    if (reply.asBefore !== undefined) this.#takeAsBefore(reply.asBefore);
    this.#files.nameLinks(node, reply.links);
    const children = this.#takeFolders(node, reply.dirs);
    if (reply.pending.length > 0) await this.#files.take(node, reply.state!, reply.pending);
    this.#release(node);
    return children;
  }

  #takeFolders(node: FolderNode, dirs: readonly ScannedFolder[]): FolderNode[] {
    const children: FolderNode[] = [];
    const byIndex = new Map([...node.open].map((child) => [child.scanned!.index, child]));
    for (const dir of dirs) {
      const child = byIndex.get(dir.index)!;
      if (dir.closed || child.depth > TREE_DEPTH_MAX) {
        node.open.delete(child);
        if (dir.pages.length > 0 && !dir.isFresh) node.update(dir.index, { kind: 'pages', pages: [] });
        if (!dir.closed) this.#deps.tally.fail(child.path, { ...TOO_DEEP, name: NO_NAME });
        continue;
      }
      node.waiting++;
      children.push(child);
    }
    return children;
  }

  /** Subtrees that stand as the snapshot before has them. */
  #takeAsBefore(counts: SubtreeCounts): void {
    const { tally, dryRun } = this.#deps;
    tally.addScanned(counts);
    if (!dryRun) tally.addStored(counts);
    tally.matched += counts.matched;
    tally.files.unchanged += counts.unchanged;
    tally.done.files += counts.unchanged;
  }

  /** A folder that cannot be listed keeps what it had; one that is gone leaves its parent. */
  async #takeUnreadable(node: FolderNode): Promise<void> {
    const { tally, forgotten, keepEarlier } = this.#deps;
    const { failure } = node.reply!;
    if (node.part !== undefined) {
      // Its folder went away or broke between two parts: what is known of the part stands, or nothing.
      if (failure !== undefined) tally.fail(node.path, failure);
      const isKept = failure !== undefined && node.trusted;
      this.#settle(node, isKept ? node.rowPages : []);
      return;
    }
    if (failure === undefined) {
      if (node.parent === undefined) throw new EdgeError('E_NOT_FOUND', 'the root went away while it was captured');
      tally.vanished(node.path);
      forgotten.push(node.path);
      node.parent.update(node.scanned!.index, { kind: 'drop' });
      this.#leave(node);
      return;
    }
    tally.fail(node.path, failure);
    const kept = await keepEarlier(node);
    this.#settle(node, kept ? splitIds(node.earlierPages ?? NO_NAME) : []);
  }

  /** One thing less to wait for; at the last one the folder is finished. */
  #release(node: FolderNode): void {
    if (--node.waiting > 0) return;
    if (node.isSplit) {
      this.#settle(
        node,
        node.partPages.flatMap((pages) => pages ?? []),
      );
      return;
    }
    if (this.#deps.dryRun) {
      this.#settle(node, node.rowPages);
      return;
    }
    if (!node.reply!.unchanged || node.updates.length > 0) {
      this.#deps.finisher.add(node);
      return;
    }
    if (node.recheck) this.#deps.renewRow(node.key);
    this.#deps.tally.addStored(node.reply!.counts);
    this.#settle(node, node.rowPages);
  }

  /** The folder's pages are known: its parent's entry for it follows. */
  #settle(node: FolderNode, pages: readonly Uint8Array[]): void {
    const { parent, part, scanned } = node;
    if (part !== undefined) {
      parent!.partPages[part.index] = pages;
      this.#leave(node);
      return;
    }
    if (parent === undefined) {
      node.status = 'done';
      this.#resolveDone(pages);
      return;
    }
    const named = scanned!.isFresh ? NO_NAME : scanned!.pages;
    if (!bytesEqual(named, Buffer.concat(pages))) parent.update(scanned!.index, { kind: 'pages', pages });
    this.#leave(node);
  }

  #leave(node: FolderNode): void {
    node.status = 'done';
    node.reply = undefined;
    const parent = node.parent!;
    parent.open.delete(node);
    this.#release(parent);
  }
}

const NO_NAME = new Uint8Array(0);
const TOO_DEEP = {
  code: 'E_LIMIT',
  message: `folders lie more than ${TREE_DEPTH_MAX} deep; what is below is left out`,
};
