/**
 * Writes the target's file system out while a restore goes on, so that the sync at its end finds little left to do. A
 * failure fails the restore: the kernel
 * tells each failed write once, and the sync at the end may hear nothing of it.
 */
import { constants } from 'node:fs';
import { EdgeError } from '../core/errors.ts';
import { AT_FDCWD } from '../files/libc.ts';
import { syncFileSystemLater } from '../files/make-entry.ts';
import { closeFd, openAt } from '../files/open-file.ts';
import { escapeName } from '../policy/escape-name.ts';

/** Bytes that are written between two syncs: some hundred milliseconds of a slow disk. */
const SYNC_EVERY_BYTES = 128 * 1024 * 1024;

export interface EarlySync {
  /** So many bytes were written since the restore began. */
  note(written: number): void;
  /** Resolves when none is under way. E_IO when one failed. */
  end(): Promise<void>;
}

export function createEarlySync(root: Uint8Array): EarlySync {
  let synced = 0;
  let running: Promise<void> | undefined;
  let failed = false;

  async function sync(): Promise<void> {
    const fd = openAt(AT_FDCWD, root, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      if (!(await syncFileSystemLater(fd))) failed = true;
    } finally {
      closeFd(fd);
    }
  }

  return {
    note(written) {
      if (running !== undefined || written - synced < SYNC_EVERY_BYTES) return;
      synced = written;
      running = sync()
        // A root that cannot be opened now is met again at the end.
        .catch(() => {})
        .finally(() => {
          running = undefined;
        });
    },
    async end() {
      await running;
      if (failed)
        throw new EdgeError('E_IO', `what was restored could not be written to the disk of ${escapeName(root)}`);
    },
  };
}
