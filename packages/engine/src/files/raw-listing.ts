/**
 * Listing a folder and looking at its entries without an object for each: names stay in the kernel's records, and what is known of an entry in words. For
 * the one place that looks at every entry of every folder on every run; whatever is not plain is for `list-folder.ts` and `file-stat.ts`.
 */
import koffi from 'koffi';
import { STATX_BASIC, STATX_BYTES } from './file-stat.ts';
import { AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, lastErrno, libc } from './libc.ts';
import { systemError } from './system-error.ts';

const RECORDS_BYTES = 64 * 1024;

// Memory outside the heap that lives as long as the thread: it never moves, so that its address may be kept. With the last byte an empty name.
const recordsMemory = new ArrayBuffer(RECORDS_BYTES + 8);
const statMemory = new ArrayBuffer(STATX_BYTES);
const recordsAddress = Number(koffi.address(recordsMemory));
const statAddress = Number(koffi.address(statMemory));

/** Directory records (`struct linux_dirent64`): length u16 at 16, the name from 19, with a NUL behind. */
export const records = new Uint8Array(recordsMemory);
/** The `struct statx` of the entry that was looked at last, as words. */
export const rawStat = new Uint32Array(statMemory);
export const RECORD_NAME_AT = 19;

/** Puts the next records of the open folder into `records`: how many bytes, 0 at the end, less than 0 when it cannot be read. */
export function readRecords(dir: number): number {
  return libc.getdents64At(dir, recordsAddress, RECORDS_BYTES);
}

/** Puts the stat of the entry whose name stands at this offset of `records` into `rawStat`, not following a symlink. False when that fails. */
export function statRecord(dir: number, nameAt: number): boolean {
  return libc.statxAt(dir, recordsAddress + nameAt, AT_SYMLINK_NOFOLLOW, STATX_BASIC, statAddress) === 0;
}

/** The same for the open folder itself. */
export function statFolder(dir: number): boolean {
  return libc.statxAt(dir, recordsAddress + RECORDS_BYTES, AT_EMPTY_PATH, STATX_BASIC, statAddress) === 0;
}

/** Has the open folder listed from its beginning again. */
export function rewind(dir: number): void {
  if (libc.lseek(dir, 0, SEEK_SET) < 0) throw systemError('lseek', lastErrno());
}

const SEEK_SET = 0;
