/**
 * Takes the folders of a root in order (a folder before those in it, names by bytes), has their files read, and finishes each folder when all in it is
 * done. The order decides which of several hard links is the first, and lays neighbours side by side in packs.
 */
import { createHash } from 'node:crypto';
import { EdgeError } from '../core/errors.ts';
import { TREE_DEPTH_MAX } from '../core/limits.ts';
import { joinPath } from '../files/path-bytes.ts';
import type { FinishedFolder } from '../pipeline/finish-folder.ts';
import { inodeKey, RECORD_HEADER_BYTES, STAT_AT, StateFlag, sizeOf } from '../pipeline/folder-state.ts';
import { type FileOutcome, SMALL_FILE_BYTES_MAX } from '../pipeline/read-files.ts';
import type { ScannedFolder, SubtreeCounts } from '../pipeline/scan-types.ts';
import { decodeEntry } from '../tree/decode-entry.ts';
import { encodeEntry } from '../tree/encode-entry.ts';
import { splitIds } from './earlier-snapshot.ts';
import type { FolderNode } from './folder-node.ts';
import type { SmallFile } from './small-files.ts';
import { CHANGED_WHILE_READ, type Tally } from './tally.ts';

export interface FolderWalkDeps {
  readonly scanner: { add(node: FolderNode): void; scanned(node: FolderNode): Promise<void> };
  readonly small: { add(file: SmallFile): Promise<void> | undefined; send(): Promise<void> };
  readonly large: { add(file: SmallFile): Promise<void> };
  readonly finisher: { add(node: FolderNode): void };
  readonly tally: Tally;
  readonly rows: { add(path: Uint8Array, value: Uint8Array): void };
  /** Writes a folder's cache row again as it is, under the loss epoch of now. */
  readonly renewRow: (key: Uint8Array) => void;
  /** Folders whose cache rows are to go after the snapshot. */
  readonly forgotten: Uint8Array[];
  /** Only look: files are counted, not read. */
  readonly dryRun: boolean;
  /** Counts what stands for a folder that cannot be read, and says whether it is still stored. */
  readonly keepEarlier: (node: FolderNode) => Promise<boolean>;
  /** Whether the content of an earlier entry is still stored. */
  readonly entryStored: (encoded: Uint8Array) => Promise<boolean>;
  /** Ends the capture. */
  readonly fail: (error: unknown) => void;
  /** Called between folders: throws when the capture has to stop, waits when something is due. */
  readonly between: () => Promise<void>;
}

/** A file of a scanned folder that is to be read. */
interface PendingFile {
  readonly index: number;
  /** Offset of its record in the folder's state. */
  readonly at: number;
  readonly size: number;
  /** Device and inode, when it has more than one hard link. */
  readonly link: string | undefined;
}

interface LinkGroup {
  readonly id: Uint8Array;
  /** The encoded entry of the link that is read; undefined when that went wrong. */
  content: Promise<Uint8Array | undefined> | undefined;
}

export class FolderWalk {
  readonly root: FolderNode;
  /** Page ids of the whole root, once it is done. */
  readonly done: Promise<readonly Uint8Array[]>;
  readonly #deps: FolderWalkDeps;
  readonly #groups = new Map<string, LinkGroup>();
  #resolveDone!: (pages: readonly Uint8Array[]) => void;

  constructor(root: FolderNode, deps: FolderWalkDeps) {
    this.root = root;
    this.#deps = deps;
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
    for (const link of reply.links) {
      const group = this.#groupOf(link.inode, node, link.name);
      if (link.group === undefined || !sameBytes(link.group, group.id)) {
        node.update(link.index, { kind: 'link', group: group.id });
      }
    }
    const children = this.#takeFolders(node, reply.dirs);
    if (reply.pending.length > 0) await this.#takeFiles(node, reply.state!, reply.pending);
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

  async #takeFiles(node: FolderNode, state: Uint8Array, pending: Uint32Array): Promise<void> {
    const words = new Uint32Array(state.buffer, state.byteOffset, state.length >> 2);
    for (let i = 0; i < pending.length; i += 2) {
      const at = pending[i + 1]!;
      const stat = (at + STAT_AT) >> 2;
      const isLinked = (state[at + 3]! & StateFlag.linked) !== 0;
      const link = isLinked ? inodeKey(words, stat) : undefined;
      const taken = this.#takeFile(node, { index: pending[i]!, at, size: sizeOf(words, stat), link });
      // Most files only join a batch; not waiting for those keeps the walk ahead of the readers.
      if (taken === undefined) continue;
      await taken;
      await this.#deps.between();
    }
  }

  #takeFile(node: FolderNode, pending: PendingFile): Promise<void> | undefined {
    const { tally, dryRun } = this.#deps;
    const state = node.reply!.state!;
    const before = encodedOf(state, pending.at);
    if (dryRun) {
      tally.files[before.length === 0 ? 'new' : 'changed']++;
      tally.bytesRead += pending.size;
      return undefined;
    }
    node.waiting++;
    const name = nameOf(state, pending.at);
    const file = { folder: node.path, name, size: pending.size };
    if (pending.link === undefined) {
      const done: SmallFile['done'] = (outcome, records) => this.#fileDone(node, pending, before, outcome, records);
      return this.#read({ ...file, done });
    }
    const group = this.#groupOf(pending.link, node, name);
    if (group.content !== undefined) {
      void this.#followLink(node, pending, before, group);
      return undefined;
    }
    let resolve!: (encoded: Uint8Array | undefined) => void;
    group.content = new Promise((done) => {
      resolve = done;
    });
    return this.#read({
      ...file,
      hardLink: group.id,
      done: (outcome, records) => {
        this.#fileDone(node, pending, before, outcome, records, resolve);
      },
    });
  }

  #read(file: SmallFile): Promise<void> | undefined {
    const { small, large } = this.#deps;
    return file.size > SMALL_FILE_BYTES_MAX ? large.add(file) : small.add(file);
  }

  #fileDone(
    node: FolderNode,
    pending: PendingFile,
    before: Uint8Array,
    outcome: FileOutcome,
    records: Uint8Array,
    first?: (encoded: Uint8Array | undefined) => void,
  ): void {
    const { tally, large } = this.#deps;
    if (outcome.kind === 'large') {
      // It has grown since it was listed.
      const name = nameOf(node.reply!.state!, pending.at);
      const again: SmallFile['done'] = (next, buffer) => this.#fileDone(node, pending, before, next, buffer, first);
      const group = pending.link === undefined ? undefined : this.#groups.get(pending.link);
      const hardLink = group === undefined ? {} : { hardLink: group.id };
      void large.add({ folder: node.path, name, size: outcome.size, ...hardLink, done: again });
      return;
    }
    // Other names of the same file take over what was read under this one.
    first?.(outcome.kind === 'read' ? encodedOf(records, outcome.at).slice() : undefined);
    tally.done.files++;
    tally.done.bytes += pending.size;
    switch (outcome.kind) {
      case 'read': {
        node.reads.push({ index: pending.index, at: outcome.at, records });
        tally.bytesRead += pending.size;
        const encoded = encodedOf(records, outcome.at);
        const change = before.length === 0 ? 'new' : sameBytes(before, encoded) ? 'unchanged' : 'changed';
        tally.files[change]++;
        if (outcome.changedWhileRead) {
          tally.fail(node.path, { ...TORN, name: nameOf(node.reply!.state!, pending.at) }, false);
        }
        break;
      }
      case 'gone':
        node.update(pending.index, { kind: 'drop' });
        if (before.length > 0) tally.matched--;
        tally.vanished(joinPath(node.path, nameOf(node.reply!.state!, pending.at)));
        break;
      case 'failed': {
        const { code, message } = outcome;
        tally.fail(node.path, { name: nameOf(node.reply!.state!, pending.at), code, message });
        void this.#keepOrDrop(node, pending, before);
        return;
      }
    }
    this.#release(node);
  }

  /** What could not be read keeps its earlier version, unless that is not stored any more. */
  async #keepOrDrop(node: FolderNode, pending: PendingFile, before: Uint8Array): Promise<void> {
    try {
      const isKept = before.length > 0 && (node.trusted || (await this.#deps.entryStored(before)));
      node.update(pending.index, { kind: isKept ? 'keep' : 'drop' });
      this.#release(node);
    } catch (error) {
      this.#deps.fail(error);
    }
  }

  async #followLink(node: FolderNode, pending: PendingFile, before: Uint8Array, group: LinkGroup): Promise<void> {
    const { tally } = this.#deps;
    const encoded = await group.content;
    tally.done.files++;
    tally.done.bytes += pending.size;
    if (encoded === undefined) {
      const name = nameOf(node.reply!.state!, pending.at);
      tally.fail(node.path, { name, code: 'EIO', message: 'the file could not be read under another of its names' });
      await this.#keepOrDrop(node, pending, before);
      return;
    }
    tally.files[before.length === 0 ? 'new' : isSameFile(before, encoded) ? 'unchanged' : 'changed']++;
    node.update(pending.index, { kind: 'same-file', encoded });
    this.#release(node);
  }

  /** The group of an inode's hard links, named after the first of them in order. */
  #groupOf(inode: string, node: FolderNode, name: Uint8Array): LinkGroup {
    let group = this.#groups.get(inode);
    if (group === undefined) {
      const digest = createHash('sha256').update(joinPath(node.path, name)).digest();
      group = { id: new Uint8Array(digest.subarray(0, 16)), content: undefined };
      this.#groups.set(inode, group);
    }
    return group;
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
    if (!sameBytes(named, Buffer.concat(pages))) parent.update(scanned!.index, { kind: 'pages', pages });
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
const TORN = {
  code: CHANGED_WHILE_READ,
  message: 'it changed each time while it was read; what was read is stored and marked',
};

/** The name in the record at this offset (see `FolderState`), in memory of its own: a view would be posted with all of the state. */
function nameOf(records: Uint8Array, at: number): Uint8Array {
  const length = records[at]! | (records[at + 1]! << 8);
  return records.slice(at + RECORD_HEADER_BYTES, at + RECORD_HEADER_BYTES + length);
}

/** The encoded entry in the record at this offset. */
export function encodedOf(records: Uint8Array, at: number): Uint8Array {
  const nameLength = records[at]! | (records[at + 1]! << 8);
  const length = records[at + 4]! | (records[at + 5]! << 8) | (records[at + 6]! << 16) | (records[at + 7]! << 24);
  const from = at + RECORD_HEADER_BYTES + nameLength;
  return records.subarray(from, from + length);
}

/** `encoded` is the file under another of its names. */
function isSameFile(before: Uint8Array, encoded: Uint8Array): boolean {
  const { name } = decodeEntry(before);
  return sameBytes(before, encodeEntry({ ...decodeEntry(encoded), name }));
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
