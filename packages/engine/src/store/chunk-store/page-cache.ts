/** What the kernel keeps in memory of packs. */
import koffi from 'koffi';
import { wholeFolios } from '../../core/folios.ts';
import { PACK_LOCAL_BYTES_TARGET } from '../../core/limits.ts';

const FADV_DONTNEED = 4;

const fadvise = koffi
  .load(null)
  .func('int posix_fadvise(int fd, int64_t offset, int64_t length, int advice)') as unknown as (
  fd: number,
  offset: number,
  length: number,
  advice: number,
) => number;

/** Packs of a run that fills them are nearly this long. */
const BULK_BYTES_MIN = PACK_LOCAL_BYTES_TARGET / 2;

/**
 * Lets the kernel use the memory of a durable pack's pages for the next one. A large run would otherwise push what the machine works with
 * out of memory, and pay for new pages with each pack. Small packs stay: replication sends them in a moment.
 */
export function leaveCache(fd: number, packBytes: number): void {
  // Only advice: where it is not taken, nothing is lost.
  if (packBytes >= BULK_BYTES_MIN) fadvise(fd, 0, 0, FADV_DONTNEED);
}

/**
 * Lets the kernel forget what it keeps of this part of the file (0 bytes: all behind the offset), so that the next read asks the medium. To be called
 * before each read that verifies: what is in memory is as it was written, whatever the disk made of it. The file must have been synced.
 */
export function readFromMedium(fd: number, offset = 0, bytes = 0): void {
  const range = wholeFolios(offset, bytes);
  fadvise(fd, range.offset, bytes === 0 ? 0 : range.length, FADV_DONTNEED);
}
