/** The files of a scanned folder: has them read, once for all names of one inode, and notes what became of each. */
import { createHash } from 'node:crypto';
import { bytesEqual } from '../core/bytes.ts';
import { joinPath } from '../files/path-bytes.ts';
import { inodeKey, RECORD_HEADER_BYTES, STAT_AT, StateFlag, sizeOf } from '../pipeline/folder-state.ts';
import { type FileOutcome, SMALL_FILE_BYTES_MAX } from '../pipeline/read-files.ts';
import type { ScannedLink } from '../pipeline/scan-types.ts';
import { decodeEntry } from '../tree/decode-entry.ts';
import { encodeEntry } from '../tree/encode-entry.ts';
import type { FolderNode } from './folder-node.ts';
import type { SmallFile } from './small-files.ts';
import { CHANGED_WHILE_READ, type Tally } from './tally.ts';

export interface FolderFilesDeps {
  readonly small: { add(file: SmallFile): Promise<void> | undefined };
  readonly large: { add(file: SmallFile): Promise<void> };
  readonly tally: Tally;
  /** Only look: files are counted, not read. */
  readonly dryRun: boolean;
  /** Whether the content of an earlier entry is still stored. */
  readonly entryStored: (encoded: Uint8Array) => Promise<boolean>;
  /** Ends the capture. */
  readonly fail: (error: unknown) => void;
  /** Throws when the capture has to stop, waits when something is due. */
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

export class FolderFiles {
  readonly #deps: FolderFilesDeps;
  /** Called once for each thing that the folder waited for. */
  readonly #release: (node: FolderNode) => void;
  readonly #groups = new Map<string, LinkGroup>();

  constructor(deps: FolderFilesDeps, release: (node: FolderNode) => void) {
    this.#deps = deps;
    this.#release = release;
  }

  /** Gives hard links that are as before the group which is theirs in this capture. */
  nameLinks(node: FolderNode, links: readonly ScannedLink[]): void {
    for (const link of links) {
      const group = this.#groupOf(link.inode, node, link.name);
      if (link.group === undefined || !bytesEqual(link.group, group.id)) {
        node.update(link.index, { kind: 'link', group: group.id });
      }
    }
  }

  /** Hands the folder's files over to be read; `pending`: number and record offset of each, in pairs. */
  async take(node: FolderNode, state: Uint8Array, pending: Uint32Array): Promise<void> {
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
        const change = before.length === 0 ? 'new' : bytesEqual(before, encoded) ? 'unchanged' : 'changed';
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
}

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
  return bytesEqual(before, encodeEntry({ ...decodeEntry(encoded), name }));
}
