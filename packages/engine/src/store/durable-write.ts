/**
 * Writing that survives power loss. A file is on stable storage only when its bytes were synced *and* the folder that names it was; a failed
 * sync is never tried again, because the kernel may already have dropped the dirty pages and would report success.
 */
import { type FileHandle, mkdir, open, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errnoOf, toEdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';

/** Temporary files of `writeFileDurably` are `.<name>.<n>.tmp`; what a crash leaves of them is removed when the data dir is opened. */
export const TEMPORARY_NAME = /^\..+\.[0-9]+\.tmp$/;

let temporaries = 0;

/** Replaces or creates the file as a whole: a reader, also after a crash, sees the old content or the new one. E_NO_SPACE, E_IO. */
export async function writeFileDurably(path: string, bytes: Uint8Array, mode = 0o600): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${++temporaries}.tmp`);
  try {
    const file = await open(temporary, 'w', mode);
    try {
      // The mode given to open is cut by the umask, and a left-over file would keep its own.
      await file.chmod(mode);
      await writeFully(file, bytes, 0);
      failpoint('durable.written');
      await file.sync();
    } finally {
      await file.close();
    }
    failpoint('durable.synced');
    await rename(temporary, path);
  } catch (error) {
    await removeIfThere(temporary);
    throw toEdgeError(error, `writing ${path}`);
  }
  failpoint('durable.renamed');
  await syncFolder(dirname(path));
}

/** Creates a folder and those above it that are missing, each named durably in its parent. Does nothing when it is there. */
export async function makeFolderDurably(path: string, mode = 0o700): Promise<void> {
  await makeBelow(path, mode, false);
}

async function makeBelow(path: string, mode: number, parentIsThere: boolean): Promise<void> {
  try {
    await mkdir(path, { mode });
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'EEXIST') return;
    // Below /proc a folder that is there says so too.
    if (errno !== 'ENOENT' || parentIsThere) throw toEdgeError(error, `creating the folder ${path}`);
    await makeBelow(dirname(path), mode, false);
    return await makeBelow(path, mode, true);
  }
  await syncFolder(dirname(path));
}

/** Makes the names in a folder durable: what was created, renamed or removed in it. */
export async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (error) {
    throw toEdgeError(error, `syncing the folder ${path}`);
  }
}

/** Writes all of `bytes` at the position, also when the kernel takes them in parts. */
export async function writeFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** Removes a file; that it is not there is no error. */
export async function removeIfThere(path: string): Promise<boolean> {
  try {
    await unlink(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw toEdgeError(error, `removing ${path}`);
  }
}
