/** Compares the entries of a folder with what capture remembers of them, and describes what is new. Reads no file's content. */
import { errnoOf } from '../core/errors.ts';
import { STATX_BYTES, statxInto } from '../files/file-stat.ts';
import { isPartialName } from '../policy/partial-name.ts';
import { decodeEntry } from '../tree/decode-entry.ts';
import { encodeEntry } from '../tree/encode-entry.ts';
import { describeOther, SOCKET_MODE, TYPE_OF_MODE } from './describe-other.ts';
import {
  FolderStateReader,
  FolderStateWriter,
  inodeKey,
  isRacy,
  STAT_AT,
  STAT_WORDS,
  STATE_HEADER_BYTES,
  StateFlag,
  sizeOf,
  statEquals,
  statFromStatx,
  TYPE_CODES,
} from './folder-state.ts';
import type { IgnoreMatcher } from './ignore-chain.ts';
import type {
  ItemFailure,
  ItemNotice,
  ScannedFolder,
  ScannedLink,
  ScanReply,
  ScanRequest,
  ScanSettings,
} from './scan-types.ts';

const EMPTY = new Uint8Array(0);
const statx = Buffer.from(new ArrayBuffer(STATX_BYTES));
const statxWords = new Uint32Array(statx.buffer, 0, STATX_BYTES / 4);
const stat = new Uint32Array(STAT_WORDS);
const writer = new FolderStateWriter();
/** The scan of one folder, or one part of it, that is open as `dir`. */
export class FolderScan {
  readonly #settings: ScanSettings;
  readonly #request: ScanRequest;
  readonly #dir: number;
  readonly #rows: readonly Uint8Array[];
  #nextRow = 0;
  #old: FolderStateReader | undefined;
  #oldThere = false;
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
    this.#rows = request.rows;
    this.#advance();
    const { after } = request.range ?? {};
    // Records of the part before, which has looked at them.
    while (after !== undefined && this.#oldThere && this.#compareOld(after) <= 0) {
      this.#same = -1;
      this.#advance();
    }
    if (!request.isAligned || this.#old === undefined || this.#same < 0) this.#begin();
  }

  /** Looks at these names, which are all that there are in the folder or part, in order. */
  run(names: Iterable<Buffer>, matcher: IgnoreMatcher | undefined): ScanReply {
    const { upTo } = this.#request.range ?? {};
    for (const name of names) this.#visit(name, matcher);
    while (this.#oldThere && (upTo === undefined || this.#compareOld(upTo) <= 0)) this.#leaveOld();
    if (this.#oldThere) this.#differ();
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
    };
  }

  /** Moves to the next remembered record, on to the next row when there is one. */
  #advance(): void {
    this.#oldThere = this.#old?.next() ?? false;
    while (!this.#oldThere && this.#nextRow < this.#rows.length) {
      if (this.#nextRow > 0) this.#differ();
      this.#old = FolderStateReader.open(this.#rows[this.#nextRow++]!);
      this.#oldThere = this.#old?.next() ?? false;
    }
  }

  /** Order of the remembered record's name and this one. */
  #compareOld(name: Uint8Array): number {
    const { bytes, record } = this.#old!;
    return bytes.compare(name, 0, name.length, record.nameAt, record.encodedAt);
  }

  #visit(name: Buffer, matcher: IgnoreMatcher | undefined): void {
    try {
      if (!statxInto(statx, this.#dir, name)) return;
    } catch (error) {
      const old = this.#findOld(name);
      if (old !== undefined && !this.#request.trusted && old.record.type === TYPE_CODES.file) {
        this.#tryToRead(old, name);
        return;
      }
      this.#fail(name, error);
      if (old !== undefined) this.#keepUnread(old, name);
      return;
    }
    const modeType = statx.readUInt16LE(28) >> 12;
    const type = TYPE_OF_MODE[modeType];
    if (isPartialName(name) || matcher?.(name, type === TYPE_CODES.dir) === true) return;
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
      this.#advance();
      return;
    }
    if (old !== undefined) this.#leaveOld();
    this.#describe(type, name, undefined);
  }

  /** The old record of this name, after leaving those of smaller names behind. */
  #findOld(name: Buffer): FolderStateReader | undefined {
    while (this.#oldThere) {
      const order = this.#compareOld(name);
      if (order === 0) return this.#old;
      if (order > 0) return undefined;
      this.#leaveOld();
    }
    return undefined;
  }

  #leaveOld(): void {
    this.#differ();
    const old = this.#old!;
    if (old.record.type === TYPE_CODES.dir) this.#removedDirs.push(new Uint8Array(old.name()));
    this.#advance();
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
    this.#differ();
    stat.set(old.words.subarray((at + STAT_AT) >> 2, ((at + STAT_AT) >> 2) + STAT_WORDS));
    if (type !== TYPE_CODES.dir) this.#matched++;
    writer.add(type, flags | StateFlag.stale, stat, 0, name, old.encoded());
    this.#count(type, writer.entries - 1, name, old.encoded(), false);
    this.#advance();
  }

  /** The same where the row is not believed: whether the earlier version is still stored is found out when reading it has failed, too. */
  #tryToRead(old: FolderStateReader, name: Buffer): void {
    const { flags, at } = old.record;
    this.#differ();
    stat.set(old.words.subarray((at + STAT_AT) >> 2, ((at + STAT_AT) >> 2) + STAT_WORDS));
    this.#matched++;
    const before = old.encoded();
    const index = writer.entries;
    const added = writer.add(TYPE_CODES.file, flags | StateFlag.stale | StateFlag.pending, stat, 0, name, before);
    this.#pending.push(index, added);
    this.#count(TYPE_CODES.file, index, name, before, true);
    this.#advance();
  }

  /** Something differs from the row: from here on a new state is built, beginning with what was the same so far. */
  #differ(): void {
    if (this.#same < 0) return;
    const same = this.#same;
    this.#begin();
    const old = this.#old;
    if (old === undefined || same === 0) return;
    const from = STATE_HEADER_BYTES + old.pages * 32;
    writer.copy(old.bytes, from, this.#oldThere ? old.record.at : old.record.end, same);
  }

  #begin(): void {
    writer.start();
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
      encoded = encodeEntry(describeOther(type, name, statx, this.#dir, this.#settings.base, this.#request.path));
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') {
        // Gone meanwhile: what was remembered of it is not taken over.
        this.#differ();
        return;
      }
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
}
