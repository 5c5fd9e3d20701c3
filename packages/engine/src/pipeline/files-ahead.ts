/** Opens small files before they are read. */
import { errnoOf } from '../core/errors.ts';
import { type JoinedBytes, partAt } from '../core/joined-bytes.ts';
import { descriptorLimit } from '../files/descriptor-limit.ts';
import { closeFd, openFolder, openForReading } from '../files/open-file.ts';
import { willRead } from '../files/read-file.ts';
import { type FileOutcome, outcomeOf } from './file-outcome.ts';

/** Files of some folders, in the order in which they are to be read. */
export interface FilesToRead {
  readonly names: JoinedBytes;
  /** For each file the number of its folder. */
  readonly folderOf: Uint32Array<ArrayBuffer>;
  /** Paths below the root. */
  readonly folders: JoinedBytes;
  /** Files with more than one hard link, by their number, with 16 bytes each. */
  readonly hardLinks: ReadonlyMap<number, Uint8Array>;
}

/** Files that are open at a time: the disk fetches all of them while the first is read. */
const OPEN_AHEAD_MAX = 128;
/** What is left to everything else in the process, and how many workers share the rest. */
const DESCRIPTORS_RESERVED = 60;
const DESCRIPTOR_SHARES = 16;
const openAheadCount = Math.max(
  1,
  Math.min(OPEN_AHEAD_MAX, ((descriptorLimit() ?? 1024) - DESCRIPTORS_RESERVED) / DESCRIPTOR_SHARES),
);

/**
 * Opens files in order, some of them before they are wanted. As one is taken the next is opened, so that the disk always has something to fetch: with a few dozen
 * opened and read in turns, a worker waited for a busy disk for a sixth of its time.
 */
export class FilesAhead {
  readonly #base: Uint8Array;
  readonly #files: FilesToRead;
  readonly #opened: (number | FileOutcome)[] = [];
  #next = 0;
  #folder = -1;
  /** Of the folder, or what became of it. */
  #dir: number | FileOutcome = -1;

  constructor(base: Uint8Array, files: FilesToRead) {
    this.#base = base;
    this.#files = files;
  }

  /** The next file's descriptor, which the caller closes, or what became of the file. */
  next(): number | FileOutcome {
    while (this.#opened.length < openAheadCount && this.#next < this.#files.folderOf.length) {
      try {
        this.#opened.push(this.#open(this.#next));
      } catch (error) {
        // Those that are open are read first.
        if (isOutOfDescriptors(error) && this.#opened.length > 0) break;
        this.#opened.push(outcomeOf(error));
      }
      this.#next++;
    }
    return this.#opened.shift()!;
  }

  close(): void {
    for (const fd of this.#opened) if (typeof fd === 'number') closeFd(fd);
    this.#closeFolder();
  }

  #open(number: number): number | FileOutcome {
    const { folders, folderOf, names } = this.#files;
    const folder = folderOf[number]!;
    if (folder !== this.#folder) {
      this.#closeFolder();
      this.#folder = folder;
      try {
        this.#dir = openFolder(this.#base, partAt(folders, folder));
      } catch (error) {
        if (isOutOfDescriptors(error) && this.#opened.length > 0) {
          this.#folder = -1;
          throw error;
        }
        this.#dir = outcomeOf(error);
      }
    }
    if (typeof this.#dir !== 'number') return this.#dir;
    const fd = openForReading(this.#dir, partAt(names, number), { isPatient: this.#opened.length === 0 });
    willRead(fd);
    return fd;
  }

  #closeFolder(): void {
    if (typeof this.#dir === 'number' && this.#dir >= 0) closeFd(this.#dir);
    this.#dir = -1;
  }
}

function isOutOfDescriptors(error: unknown): boolean {
  const code = errnoOf(error);
  return code === 'EMFILE' || code === 'ENFILE';
}
