/** The names in a folder that are looked at, and the folder's own rules. */
import { errnoOf } from '../core/errors.ts';
import { STATX_BYTES, statxInto } from '../files/file-stat.ts';
import { listNames, NameList } from '../files/list-folder.ts';
import { closeFd, openForReading } from '../files/open-file.ts';
import { readFully } from '../files/read-file.ts';
import { IGNORE_FILE_BYTES_MAX, IGNORE_FILE_NAME } from '../policy/ignore-rules.ts';
import type { ItemFailure, ItemNotice } from './scan-types.ts';

export interface FolderListing {
  /** Sorted by bytes. */
  readonly names: NameList;
  /** Content of the folder's own ignore file. */
  readonly ignoreText: Uint8Array | undefined;
  readonly failures: readonly ItemFailure[];
  readonly notices: readonly ItemNotice[];
}

const IGNORE_NAME = Buffer.from(IGNORE_FILE_NAME);
const CACHE_TAG_NAME = Buffer.from('CACHEDIR.TAG');
/** https://bford.info/cachedir/ */
const CACHE_TAG_SIGNATURE = Buffer.from('Signature: 8a477f597d28d172789f06886806bc55');
const EMPTY = new Uint8Array(0);
const statx = Buffer.alloc(STATX_BYTES);

/** Lists the open folder; of one that is tagged as a cache only the tag. `only`: as if it had this one entry. */
export function readListing(dir: number, only: Uint8Array | undefined): FolderListing {
  const failures: ItemFailure[] = [];
  const notices: ItemNotice[] = [];
  let names = only === undefined ? listNames(dir) : NameList.of([only]);
  if (only === undefined && names.has(CACHE_TAG_NAME)) {
    const start = readStart(dir, CACHE_TAG_NAME, CACHE_TAG_SIGNATURE.length, failures);
    if (start !== undefined && CACHE_TAG_SIGNATURE.equals(start)) {
      names = NameList.of([CACHE_TAG_NAME]);
      notices.push({ name: EMPTY, what: 'cache-dir' });
    }
  }
  const hasRules = only === undefined && names.has(IGNORE_NAME);
  return { names, ignoreText: hasRules ? readIgnoreFile(dir, failures) : undefined, failures, notices };
}

function readIgnoreFile(dir: number, failures: ItemFailure[]): Uint8Array | undefined {
  const bytes = readStart(dir, IGNORE_NAME, IGNORE_FILE_BYTES_MAX + 1, failures);
  if (bytes === undefined || bytes.length <= IGNORE_FILE_BYTES_MAX) return bytes;
  failures.push({
    name: IGNORE_NAME,
    code: 'EFBIG',
    message: 'it is too long for an ignore file, and its rules are not applied',
  });
  return undefined;
}

/** The first bytes of a file of the folder; undefined when there is no readable file of that name. */
function readStart(dir: number, name: Buffer, length: number, failures: ItemFailure[]): Uint8Array | undefined {
  try {
    if (!statxInto(statx, dir, name) || statx.readUInt16LE(28) >> 12 !== 8) return undefined;
    const fd = openForReading(dir, name);
    try {
      const bytes = Buffer.alloc(Math.min(length, Number(statx.readBigUInt64LE(40))));
      return bytes.subarray(0, readFully(fd, bytes));
    } finally {
      closeFd(fd);
    }
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined) throw error;
    failures.push({ name: new Uint8Array(name), code, message: (error as Error).message });
    return undefined;
  }
}
