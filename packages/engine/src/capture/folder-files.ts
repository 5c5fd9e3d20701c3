/** The files of a scanned folder: has them read, once for all names of one inode, and notes what became of each. */
import { createHash } from 'node:crypto';
import { bytesEqual } from '../core/bytes.ts';
import { joinPath } from '../files/path-bytes.ts';
import type { FileOutcome } from '../pipeline/file-outcome.ts';
import { inodeKey, RECORD_HEADER_BYTES, STAT_AT, StateFlag, sizeOf } from '../pipeline/folder-state.ts';
import { SMALL_FILE_BYTES_MAX } from '../pipeline/read-files.ts';
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

/** A file of a scanned folder that is to be read. There are as many of them as files: one object each, which knows where to find the rest. */
class PendingFile implements SmallFile {
  readonly node: FolderNode;
  readonly index: number;
  /** Offset of its record in the folder's state. */
  readonly at: number;
  readonly size: number;
  /** Set when it has more than one hard link. */
  readonly group: LinkGroup | undefined;
  readonly #onDone: OnDone;

  constructor(node: FolderNode, index: number, at: number, size: number, group: LinkGroup | undefined, onDone: OnDone) {
    this.node = node;
    this.index = index;
    this.at = at;
    this.size = size;
    this.group = group;
    this.#onDone = onDone;
  }

  get folder(): Uint8Array {
    return this.node.path;
  }

  /** A view of the folder's state. */
  get name(): Uint8Array {
    return nameOf(this.node.reply!.state!, this.at);
  }

  get hardLink(): Uint8Array | undefined {
    return this.group?.id;
  }

  /** Its earlier entry; empty when there was none. */
  get before(): Uint8Array {
    return encodedOf(this.node.reply!.state!, this.at);
  }

  done(outcome: FileOutcome, records: Uint8Array): void {
    this.#onDone(this, outcome, records);
  }
}

type OnDone = (file: PendingFile, outcome: FileOutcome, records: Uint8Array) => void;

interface LinkGroup {
  readonly id: Uint8Array;
  /** The encoded entry of the link that is read; undefined when that went wrong. */
  readonly content: Promise<Uint8Array | undefined>;
  readonly resolve: (encoded: Uint8Array | undefined) => void;
  /** One of its links is being read, or was. */
  isRead: boolean;
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
      const size = sizeOf(words, stat);
      const group = isLinked ? this.#groupOf(inodeKey(words, stat), node, nameOf(state, at)) : undefined;
      const taken = this.#takeFile(new PendingFile(node, pending[i]!, at, size, group, this.#onDone));
      // Most files only join a batch; not waiting for those keeps the walk ahead of the readers.
      if (taken === undefined) continue;
      await taken;
      await this.#deps.between();
    }
  }

  #takeFile(file: PendingFile): Promise<void> | undefined {
    const { tally, dryRun } = this.#deps;
    const { group } = file;
    if (dryRun) {
      tally.files[file.before.length === 0 ? 'new' : 'changed']++;
      tally.bytesRead += file.size;
      return undefined;
    }
    file.node.waiting++;
    if (group?.isRead === true) {
      void this.#followLink(file, group);
      return undefined;
    }
    if (group !== undefined) group.isRead = true;
    return this.#read(file);
  }

  #read(file: SmallFile): Promise<void> | undefined {
    const { small, large } = this.#deps;
    return file.size > SMALL_FILE_BYTES_MAX ? large.add(file) : small.add(file);
  }

  readonly #onDone: OnDone = (file, outcome, records) => {
    const { tally, large } = this.#deps;
    const { node, index, size, group } = file;
    if (outcome.kind === 'large') {
      // It has grown since it was listed.
      void large.add(new PendingFile(node, index, file.at, outcome.size, group, this.#onDone));
      return;
    }
    // Other names of the same file take over what was read under this one.
    group?.resolve(outcome.kind === 'read' ? encodedOf(records, outcome.at).slice() : undefined);
    tally.done.files++;
    tally.done.bytes += size;
    switch (outcome.kind) {
      case 'read': {
        node.reads.push({ index, at: outcome.at, records });
        tally.bytesRead += size;
        const { before } = file;
        const isNew = before.length === 0;
        tally.files[isNew ? 'new' : bytesEqual(before, encodedOf(records, outcome.at)) ? 'unchanged' : 'changed']++;
        if (outcome.changedWhileRead) tally.fail(node.path, { ...TORN, name: new Uint8Array(file.name) }, false);
        break;
      }
      case 'gone':
        node.update(index, { kind: 'drop' });
        if (file.before.length > 0) tally.matched--;
        tally.vanished(joinPath(node.path, file.name));
        break;
      case 'failed': {
        const { code, message } = outcome;
        tally.fail(node.path, { name: new Uint8Array(file.name), code, message });
        void this.#keepOrDrop(file);
        return;
      }
    }
    this.#release(node);
  };

  /** What could not be read keeps its earlier version, unless that is not stored any more. */
  async #keepOrDrop({ node, index, before }: PendingFile): Promise<void> {
    try {
      const isKept = before.length > 0 && (node.trusted || (await this.#deps.entryStored(before)));
      node.update(index, { kind: isKept ? 'keep' : 'drop' });
      this.#release(node);
    } catch (error) {
      this.#deps.fail(error);
    }
  }

  async #followLink(file: PendingFile, group: LinkGroup): Promise<void> {
    const { tally } = this.#deps;
    const { node, index, before } = file;
    const encoded = await group.content;
    tally.done.files++;
    tally.done.bytes += file.size;
    if (encoded === undefined) {
      const message = 'the file could not be read under another of its names';
      tally.fail(node.path, { name: new Uint8Array(file.name), code: 'EIO', message });
      await this.#keepOrDrop(file);
      return;
    }
    tally.files[before.length === 0 ? 'new' : isSameFile(before, encoded) ? 'unchanged' : 'changed']++;
    node.update(index, { kind: 'same-file', encoded });
    this.#release(node);
  }

  /** The group of an inode's hard links, named after the first of them in order. */
  #groupOf(inode: string, node: FolderNode, name: Uint8Array): LinkGroup {
    let group = this.#groups.get(inode);
    if (group === undefined) {
      const digest = createHash('sha256').update(joinPath(node.path, name)).digest();
      let resolve!: LinkGroup['resolve'];
      const content = new Promise<Uint8Array | undefined>((done) => {
        resolve = done;
      });
      group = { id: new Uint8Array(digest.subarray(0, 16)), content, resolve, isRead: false };
      this.#groups.set(inode, group);
    }
    return group;
  }
}

const TORN = {
  code: CHANGED_WHILE_READ,
  message: 'it changed each time while it was read; what was read is stored and marked',
};

/** The name in the record at this offset (see `FolderState`), as a view. */
function nameOf(state: Uint8Array, at: number): Uint8Array {
  const from = at + RECORD_HEADER_BYTES;
  return state.subarray(from, from + (state[at]! | (state[at + 1]! << 8)));
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
