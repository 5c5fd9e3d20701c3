/** Lists one folder, compares it with what capture remembers of it, and describes what is new. Reads no file's content. */
import { errnoOf } from '../core/errors.ts';
import { decodeStatx, STATX_BYTES, statxInto } from '../files/file-stat.ts';
import { listFolder } from '../files/list-folder.ts';
import { readLinkAt } from '../files/make-entry.ts';
import { closeFd, openFolder, openForReading, procPath } from '../files/open-file.ts';
import { joinPath } from '../files/path-bytes.ts';
import { readFully } from '../files/read-file.ts';
import { readXattrs } from '../files/xattr.ts';
import { IGNORE_FILE_BYTES_MAX, IGNORE_FILE_NAME } from '../policy/ignore-rules.ts';
import { decodeEntry } from '../tree/decode-entry.ts';
import { encodeEntry } from '../tree/encode-entry.ts';
import type { Entry, PosixMeta } from '../tree/entry.ts';
import {
  FolderStateReader,
  FolderStateWriter,
  inodeKey,
  isRacy,
  STAT_AT,
  STAT_WORDS,
  StateFlag,
  sizeOf,
  statEquals,
  statFromStatx,
  TYPE_CODES,
} from './folder-state.ts';
import { compileIgnoreChain, type IgnoreChain, type IgnoreMatcher } from './ignore-chain.ts';

export interface ScanSettings {
  /** The root folder's absolute path. */
  readonly base: Uint8Array;
  /** Seconds since 1970 at which the capture began. */
  readonly captureSeconds: number;
  /** Inodes (see `inodeKey`) that are left out with all below them: the data dir. */
  readonly leftOut: readonly string[];
  /** `major:minor` of the only device to descend on; undefined for all. */
  readonly device?: string;
}

export interface ScanRequest {
  /** Path below the root; empty for the root itself. */
  readonly path: Uint8Array;
  /** What capture remembers (a `FolderState`). */
  readonly row?: Uint8Array | undefined;
  /** Read every file again, whatever the row says; the row then only tells what was there. */
  readonly readAll: boolean;
  /** What the row names is known to be stored, so that it can stand for what cannot be read. */
  readonly trusted: boolean;
  readonly ignore?: IgnoreChain | undefined;
  /** Look at this name alone: for a root that is a file. */
  readonly only?: Uint8Array | undefined;
  /** Inode of the folder as its parent's listing saw it: another one means that it was swapped. */
  readonly inode?: string | undefined;
}

export interface ScanReply {
  /** The folder could not be listed: its errno's name and message. Everything else is then empty. */
  readonly failure?: ItemFailure;
  /** The folder is gone since its parent was listed. */
  readonly gone?: boolean;
  /** Nothing differs from the row, which stands for the state. */
  readonly unchanged: boolean;
  readonly state?: Uint8Array<ArrayBuffer>;
  /** Files to be read: index of the entry and offset of its record in `state`, for one after the other. */
  readonly pending: Uint32Array;
  readonly dirs: readonly ScannedFolder[];
  /** Entries with more than one hard link that are not pending. */
  readonly links: readonly ScannedLink[];
  /** Folders of the row that are no folders here any more. */
  readonly removedDirs: readonly Uint8Array[];
  /** Entries of the row, other than folders, whose names are still there as such; what is missing was removed. */
  readonly matched: number;
  /** Of the entries that need no reading: those that are as remembered, and those that are not. */
  readonly others: { readonly unchanged: number; readonly changed: number; readonly added: number };
  /** Of everything that is there. */
  readonly counts: FolderCounts;
  readonly failures: readonly ItemFailure[];
  readonly notices: readonly ItemNotice[];
  /** Content of the folder's own ignore file. */
  readonly ignoreText?: Uint8Array;
}

export interface FolderCounts {
  readonly files: number;
  readonly dirs: number;
  readonly others: number;
  readonly bytes: number;
}

export interface ScannedFolder {
  readonly index: number;
  readonly name: Uint8Array;
  readonly inode: string;
  /** It was a folder in the row. */
  readonly wasThere: boolean;
  /** Ids of the pages that its earlier entry names, one after the other (32 bytes each). */
  readonly pages: Uint8Array;
  /** Its entry was made anew and names no pages. */
  readonly isFresh: boolean;
  /** Not descended into: on another device, marked as a cache, or left out. */
  readonly closed: boolean;
}

export interface ScannedLink {
  readonly index: number;
  readonly name: Uint8Array;
  readonly inode: string;
  /** The group that the encoded entry names now. */
  readonly group: Uint8Array | undefined;
}

export interface ItemFailure {
  /** Empty for the folder itself. */
  readonly name: Uint8Array;
  readonly code: string;
  readonly message: string;
}

export interface ItemNotice {
  readonly name: Uint8Array;
  readonly what: 'socket' | 'data-dir' | 'other-device' | 'cache-dir' | 'unknown-kind';
}

const EMPTY = new Uint8Array(0);
const IGNORE_NAME = Buffer.from(IGNORE_FILE_NAME);
const CACHE_TAG_NAME = Buffer.from('CACHEDIR.TAG');
/** https://bford.info/cachedir/ */
const CACHE_TAG_SIGNATURE = Buffer.from('Signature: 8a477f597d28d172789f06886806bc55');

const statx = Buffer.from(new ArrayBuffer(STATX_BYTES));
const statxWords = new Uint32Array(statx.buffer, 0, STATX_BYTES / 4);
const stat = new Uint32Array(STAT_WORDS);
const writer = new FolderStateWriter();
const TYPE_OF_MODE: Readonly<Record<number, number>> = {
  8: TYPE_CODES.file,
  4: TYPE_CODES.dir,
  10: TYPE_CODES.symlink,
  1: TYPE_CODES.fifo,
  2: TYPE_CODES.chardev,
  6: TYPE_CODES.blockdev,
};
const SOCKET_MODE = 12;

/** Scans one folder. Never throws for what is wrong with the folder or its entries; those are in the reply. */
export function scanFolder(settings: ScanSettings, request: ScanRequest): ScanReply {
  let dir: number;
  try {
    dir = openFolder(settings.base, request.path);
  } catch (error) {
    return failed(error);
  }
  try {
    if (request.inode !== undefined) {
      statxInto(statx, dir, EMPTY);
      statFromStatx(statxWords, stat);
      if (inodeKey(stat, 0) !== request.inode) {
        return failed(
          Object.assign(new Error('it was replaced by another folder while it was scanned'), { code: 'ECHANGED' }),
        );
      }
    }
    return new FolderScan(settings, request, dir).run();
  } catch (error) {
    return failed(error);
  } finally {
    closeFd(dir);
  }
}

function failed(error: unknown): ScanReply {
  const code = errnoOf(error);
  if (code === undefined) throw error;
  const nothing = {
    unchanged: false,
    pending: new Uint32Array(0),
    dirs: [],
    links: [],
    removedDirs: [],
    matched: 0,
    failures: [],
    notices: [],
  };
  const empty = { others: { unchanged: 0, changed: 0, added: 0 }, counts: { files: 0, dirs: 0, others: 0, bytes: 0 } };
  if (code === 'ENOENT') return { ...nothing, ...empty, gone: true };
  return { ...nothing, ...empty, failure: { name: EMPTY, code, message: (error as Error).message } };
}

class FolderScan {
  readonly #settings: ScanSettings;
  readonly #request: ScanRequest;
  readonly #dir: number;
  readonly #old: FolderStateReader | undefined;
  #oldThere: boolean;
  /** Records of the old state that went over as they are while nothing differs yet; -1 once something did. */
  #same = 0;
  readonly #pending: number[] = [];
  readonly #dirs: ScannedFolder[] = [];
  readonly #links: ScannedLink[] = [];
  readonly #removedDirs: Uint8Array[] = [];
  #matched = 0;
  readonly #others = { unchanged: 0, changed: 0, added: 0 };
  readonly #counts = { files: 0, dirs: 0, others: 0, bytes: 0 };
  readonly #failures: ItemFailure[] = [];
  readonly #notices: ItemNotice[] = [];

  constructor(settings: ScanSettings, request: ScanRequest, dir: number) {
    this.#settings = settings;
    this.#request = request;
    this.#dir = dir;
    this.#old = request.row === undefined ? undefined : FolderStateReader.open(request.row);
    this.#oldThere = this.#old?.next() ?? false;
  }

  run(): ScanReply {
    let names = this.#request.only === undefined ? listFolder(this.#dir) : [Buffer.from(this.#request.only)];
    const isCache = names.some((name) => name.equals(CACHE_TAG_NAME)) && this.#hasCacheTag();
    if (isCache) {
      names = [CACHE_TAG_NAME];
      this.#notices.push({ name: EMPTY, what: 'cache-dir' });
    }
    const ignoreText = names.some((name) => name.equals(IGNORE_NAME)) ? this.#readIgnoreFile() : undefined;
    const matcher = compileIgnoreChain(this.#request.ignore, this.#request.path, ignoreText);
    if (this.#old === undefined) this.#differ();
    for (const name of names) this.#visit(name, matcher);
    while (this.#oldThere) this.#leaveOld();
    const unchanged = this.#same >= 0;
    return {
      unchanged,
      ...(unchanged ? {} : { state: writer.take() }),
      pending: Uint32Array.from(this.#pending),
      dirs: this.#dirs,
      links: this.#links,
      removedDirs: this.#removedDirs,
      matched: this.#matched,
      others: this.#others,
      counts: this.#counts,
      failures: this.#failures,
      notices: this.#notices,
      ...(ignoreText === undefined ? {} : { ignoreText }),
    };
  }

  #visit(name: Buffer, matcher: IgnoreMatcher | undefined): void {
    try {
      if (!statxInto(statx, this.#dir, name)) return;
    } catch (error) {
      this.#fail(name, error);
      const old = this.#findOld(name);
      if (old !== undefined) this.#keepUnread(old, name);
      return;
    }
    const modeType = statx.readUInt16LE(28) >> 12;
    const type = TYPE_OF_MODE[modeType];
    if (matcher?.(name, type === TYPE_CODES.dir) === true) return;
    if (type === undefined) {
      this.#notices.push({ name: new Uint8Array(name), what: modeType === SOCKET_MODE ? 'socket' : 'unknown-kind' });
      return;
    }
    statFromStatx(statxWords, stat);
    if (type === TYPE_CODES.dir && this.#settings.leftOut.includes(inodeKey(stat, 0))) {
      this.#notices.push({ name: new Uint8Array(name), what: 'data-dir' });
      return;
    }
    const old = this.#findOld(name);
    if (old !== undefined && old.record.type === type) {
      if (type !== TYPE_CODES.dir) this.#matched++;
      if (this.#isAsRemembered(old)) this.#keep(old, type, name);
      else this.#describe(type, name, old.encoded());
      this.#oldThere = old.next();
      return;
    }
    if (old !== undefined) this.#leaveOld();
    this.#describe(type, name, undefined);
  }

  /** The old record of this name, after leaving those of smaller names behind. */
  #findOld(name: Buffer): FolderStateReader | undefined {
    const old = this.#old;
    while (this.#oldThere && old !== undefined) {
      const order = old.bytes.compare(name, 0, name.length, old.record.nameAt, old.record.encodedAt);
      if (order === 0) return old;
      if (order > 0) return undefined;
      this.#leaveOld();
    }
    return undefined;
  }

  #leaveOld(): void {
    this.#differ();
    const old = this.#old!;
    if (old.record.type === TYPE_CODES.dir) this.#removedDirs.push(new Uint8Array(old.name()));
    this.#oldThere = old.next();
  }

  #isAsRemembered(old: FolderStateReader): boolean {
    if ((old.record.flags & (StateFlag.stale | StateFlag.racy | StateFlag.pending)) !== 0) return false;
    if (this.#request.readAll) return false;
    return statEquals(stat, 0, old.words, (old.record.at + STAT_AT) >> 2);
  }

  #keep(old: FolderStateReader, type: number, name: Buffer): void {
    const { at, end, flags } = old.record;
    const index = this.#same >= 0 ? this.#same++ : writer.entries;
    if (this.#same < 0) writer.copy(old.bytes, at, end, 1);
    if ((flags & StateFlag.linked) !== 0 && type !== TYPE_CODES.dir) {
      this.#links.push({
        index,
        name: new Uint8Array(name),
        inode: inodeKey(stat, 0),
        group: decodeEntry(old.encoded()).hardLink,
      });
    }
    if (type !== TYPE_CODES.dir) this.#others.unchanged++;
    this.#count(type, index, name, old.encoded(), false);
  }

  /** What cannot be looked at now keeps its earlier version, and is looked at again next time. */
  #keepUnread(old: FolderStateReader, name: Buffer): void {
    const { type, flags, at } = old.record;
    if (!this.#request.trusted && type === TYPE_CODES.file) {
      this.#leaveOld();
      return;
    }
    this.#differ();
    stat.set(old.words.subarray((at + STAT_AT) >> 2, ((at + STAT_AT) >> 2) + STAT_WORDS));
    if (type !== TYPE_CODES.dir) this.#matched++;
    writer.add(type, flags | StateFlag.stale, stat, 0, name, old.encoded());
    this.#count(type, writer.entries - 1, name, old.encoded(), false);
    this.#oldThere = old.next();
  }

  /** Something differs from the row: from here on a new state is built, beginning with what was the same so far. */
  #differ(): void {
    if (this.#same < 0) return;
    writer.start();
    const old = this.#old;
    if (old !== undefined && this.#same > 0) {
      const from = 16 + old.pages * 32;
      writer.copy(old.bytes, from, this.#oldThere ? old.record.at : old.record.end, this.#same);
    }
    this.#same = -1;
  }

  #describe(type: number, name: Buffer, before: Buffer | undefined): void {
    const nlink = statx.readUInt32LE(16);
    const isLinked = nlink > 1 && type !== TYPE_CODES.dir;
    const flags =
      (isRacy(stat, this.#settings.captureSeconds) ? StateFlag.racy : 0) | (isLinked ? StateFlag.linked : 0);
    if (type === TYPE_CODES.file) {
      this.#differ();
      const index = writer.entries;
      const at = writer.add(type, flags | StateFlag.pending, stat, 0, name, before);
      this.#pending.push(index, at);
      this.#count(type, index, name, before, true);
      return;
    }
    let encoded: Uint8Array;
    try {
      encoded = encodeEntry(this.#entryOf(type, name));
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return;
      this.#fail(name, error);
      // What was there before stands for what cannot be read now.
      if (before === undefined) return;
      this.#differ();
      writer.add(type, flags | StateFlag.stale, stat, 0, name, before);
      this.#count(type, writer.entries - 1, name, before, false);
      return;
    }
    this.#differ();
    const index = writer.entries;
    writer.add(type, flags, stat, 0, name, encoded);
    if (isLinked) this.#links.push({ index, name: new Uint8Array(name), inode: inodeKey(stat, 0), group: undefined });
    if (type !== TYPE_CODES.dir) {
      if (before === undefined) this.#others.added++;
      else if (before.equals(encoded)) this.#others.unchanged++;
      else this.#others.changed++;
    }
    this.#count(type, index, name, before, true);
  }

  #entryOf(type: number, name: Buffer): Entry {
    const found = decodeStatx(statx);
    const xattrs = readXattrs({ path: this.#pathOf(name) });
    const posix: PosixMeta = {
      mode: found.mode,
      uid: found.uid,
      gid: found.gid,
      ...(xattrs.length === 0 ? {} : { xattrs }),
    };
    const common = { name, mtimeNs: found.mtimeNs };
    switch (type) {
      case TYPE_CODES.dir:
        return { ...common, type: 'dir', posix, pages: [] };
      case TYPE_CODES.symlink:
        return { ...common, type: 'symlink', posix, target: readLinkAt(this.#dir, name) };
      case TYPE_CODES.fifo:
        return { ...common, type: 'fifo', posix };
      default: {
        const rdev = { major: found.rdevMajor, minor: found.rdevMinor };
        return { ...common, type: type === TYPE_CODES.chardev ? 'chardev' : 'blockdev', posix: { ...posix, rdev } };
      }
    }
  }

  /** By the whole path where the kernel takes it (twice as fast), else through the open folder. */
  #pathOf(name: Buffer): Uint8Array {
    const { base } = this.#settings;
    const { path } = this.#request;
    if (base.length + path.length + name.length < 3900) return joinPath(joinPath(base, path), name);
    return procPath(this.#dir, name);
  }

  #count(type: number, index: number, name: Buffer, before: Uint8Array | undefined, isFresh: boolean): void {
    if (type === TYPE_CODES.file) {
      this.#counts.files++;
      this.#counts.bytes += sizeOf(stat, 0);
    } else if (type === TYPE_CODES.dir) {
      this.#counts.dirs++;
      const { device } = this.#settings;
      const closed = device !== undefined && `${stat[10]}:${stat[11]}` !== device;
      if (closed) this.#notices.push({ name: new Uint8Array(name), what: 'other-device' });
      const pages = before === undefined ? EMPTY : new Uint8Array(Buffer.concat(decodeEntry(before).pages ?? []));
      const wasThere = before !== undefined;
      this.#dirs.push({
        index,
        name: new Uint8Array(name),
        inode: inodeKey(stat, 0),
        wasThere,
        pages,
        isFresh,
        closed,
      });
    } else this.#counts.others++;
  }

  #fail(name: Buffer, error: unknown): void {
    const code = errnoOf(error) ?? (error as { code?: string }).code;
    if (code === undefined) throw error;
    this.#failures.push({ name: new Uint8Array(name), code, message: (error as Error).message });
  }

  #hasCacheTag(): boolean {
    const start = this.#readStart(CACHE_TAG_NAME, CACHE_TAG_SIGNATURE.length);
    return start !== undefined && CACHE_TAG_SIGNATURE.equals(start);
  }

  #readIgnoreFile(): Uint8Array | undefined {
    const bytes = this.#readStart(IGNORE_NAME, IGNORE_FILE_BYTES_MAX + 1);
    if (bytes === undefined || bytes.length <= IGNORE_FILE_BYTES_MAX) return bytes;
    this.#fail(IGNORE_NAME, Object.assign(new Error('it is too long for an ignore file'), { code: 'EFBIG' }));
    return undefined;
  }

  /** The first bytes of a file of the folder; undefined when there is no readable file of that name. */
  #readStart(name: Buffer, length: number): Uint8Array | undefined {
    try {
      if (!statxInto(statx, this.#dir, name) || statx.readUInt16LE(28) >> 12 !== 8) return undefined;
      const fd = openForReading(this.#dir, name);
      try {
        const bytes = Buffer.alloc(Math.min(length, Number(statx.readBigUInt64LE(40))));
        return bytes.subarray(0, readFully(fd, bytes));
      } finally {
        closeFd(fd);
      }
    } catch (error) {
      this.#fail(name, error);
      return undefined;
    }
  }
}
