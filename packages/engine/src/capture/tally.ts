/** The figures of a running capture. */
import type { ReportWarning } from '../core/ports/progress.ts';
import { joinPath } from '../files/path-bytes.ts';
import type { FolderCounts, ItemFailure, ItemNotice } from '../pipeline/scan-types.ts';
import { escapeName } from '../policy/escape-name.ts';
import { type CaptureFailure, FAILURES_LISTED_MAX } from './capture-types.ts';

export const CHANGED_WHILE_READ = 'E_CHANGED_WHILE_READ';

export class Tally {
  readonly files = { new: 0, changed: 0, unchanged: 0, failed: 0 };
  /** Entries of the last snapshot, other than folders, that are still there or stand for what could not be read. */
  matched = 0;
  /** Of everything scanned so far; and of everything that is in the finished tree. */
  readonly scanned = { files: 0, dirs: 0, others: 0, bytes: 0 };
  readonly stored = { files: 0, dirs: 0, others: 0, bytes: 0 };
  bytesRead = 0;
  /** Entries done and bytes of files done or read, for the progress display. */
  readonly done = { files: 0, bytes: 0 };
  readonly failures: CaptureFailure[] = [];
  failuresOmitted = 0;
  readonly #warn: ReportWarning | undefined;
  #noticed = 0;

  constructor(warn: ReportWarning | undefined) {
    this.#warn = warn;
  }

  addScanned(counts: FolderCounts): void {
    add(this.scanned, counts);
  }

  addStored(counts: FolderCounts): void {
    add(this.stored, counts);
  }

  fail(folder: Uint8Array, { name, code, message }: ItemFailure, counted = true): void {
    if (counted) this.files.failed++;
    if (this.failures.length >= FAILURES_LISTED_MAX) this.failuresOmitted++;
    else this.failures.push({ path: joinPath(folder, name), code, message });
  }

  /** Things left out on purpose are worth a line each, up to a bound. */
  notice(folder: Uint8Array, { name, what }: ItemNotice): void {
    if (what === 'cache-dir' || what === 'other-device') return;
    if (++this.#noticed > NOTICES_MAX) return;
    this.#warn?.({
      code: `W_${what.toUpperCase().replace('-', '_')}`,
      message: `${escapeName(joinPath(folder, name))} ${NOTICES[what]}`,
    });
  }

  vanished(path: Uint8Array): void {
    if (++this.#noticed > NOTICES_MAX) return;
    this.#warn?.({
      code: 'W_VANISHED',
      message: `${escapeName(path)} went away while it was captured and is left out`,
    });
  }
}

const NOTICES_MAX = 100;
const NOTICES = {
  socket: 'is a socket and is left out',
  'data-dir': 'is edgestore’s own data and is left out',
  'unknown-kind': 'is of a kind that edgestore does not know and is left out',
};

function add(sum: { files: number; dirs: number; others: number; bytes: number }, counts: FolderCounts): void {
  sum.files += counts.files;
  sum.dirs += counts.dirs;
  sum.others += counts.others;
  sum.bytes += counts.bytes;
}
