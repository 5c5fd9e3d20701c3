/** The names in an open folder, as bytes, sorted by memcmp. */
import { asBuffer } from '../core/bytes.ts';
import { lastErrno, libc } from './libc.ts';
import { EINTR, systemError } from './system-error.ts';

const BLOCK_BYTES = 64 * 1024;
const block = Buffer.allocUnsafeSlow(BLOCK_BYTES);

/** All names but `.` and `..`, in byte order. Throws a system error when the listing breaks off: half a folder is no folder. */
export function listFolder(dir: number): Buffer[] {
  const names: Buffer[] = [];
  for (;;) {
    const filled = libc.getdents64(dir, block, BLOCK_BYTES);
    if (filled === 0) break;
    if (filled < 0) {
      const errno = lastErrno();
      if (errno === EINTR) continue;
      throw systemError('getdents64', errno);
    }
    // One copy of the block holds all its names; each name is a view of it.
    const kept = Buffer.allocUnsafeSlow(filled);
    block.copy(kept, 0, 0, filled);
    for (let at = 0; at < filled; ) {
      const length = kept.readUInt16LE(at + 16);
      const from = at + 19;
      const to = kept.indexOf(0, from);
      const dots = to - from <= 2 && kept[from] === 0x2e && (to - from === 1 || kept[from + 1] === 0x2e);
      if (!dots) names.push(kept.subarray(from, to));
      at += length;
    }
  }
  return names.sort(Buffer.compare);
}

/** True when nothing but `.` and `..` is in the open folder. */
export function folderIsEmpty(dir: number): boolean {
  return listFolder(dir).length === 0;
}

/** memcmp order of two names. */
export function compareNames(a: Uint8Array, b: Uint8Array): number {
  return asBuffer(a).compare(b);
}
