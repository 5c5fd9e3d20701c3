/** Verified entries in a temporary file while a recovery chooses among them: hold bodies are too many to be kept in memory. */
import { type FileHandle, open, rm } from 'node:fs/promises';
import { EdgeError, toEdgeError } from '../../core/errors.ts';

export interface EntrySpool {
  /** Answers where the item lies. */
  append(item: Uint8Array): Promise<SpooledItem>;
  read(item: SpooledItem): Promise<Uint8Array>;
  /** Closes and removes the file; again does nothing. */
  discard(): Promise<void>;
}

export interface SpooledItem {
  readonly offset: number;
  readonly bytes: number;
}

/** The file is made anew. It is not made durable: a recovery that is cut off begins again. */
export async function openEntrySpool(path: string): Promise<EntrySpool> {
  let file: FileHandle;
  try {
    file = await open(path, 'w+', 0o600);
  } catch (error) {
    throw toEdgeError(error, `making ${path}`);
  }
  let end = 0;
  let isOpen = true;
  return {
    async append(item) {
      try {
        for (let done = 0; done < item.length; ) {
          const { bytesWritten } = await file.write(item, done, item.length - done, end + done);
          done += bytesWritten;
        }
      } catch (error) {
        throw toEdgeError(error, `writing ${path}`);
      }
      const at = { offset: end, bytes: item.length };
      end += item.length;
      return at;
    },
    async read({ offset, bytes }) {
      const item = new Uint8Array(bytes);
      for (let done = 0; done < bytes; ) {
        const { bytesRead } = await file.read(item, done, bytes - done, offset + done);
        if (bytesRead === 0) throw new EdgeError('E_IO', `${path} ends before byte ${offset + bytes}`);
        done += bytesRead;
      }
      return item;
    },
    async discard() {
      if (!isOpen) return;
      isOpen = false;
      await file.close();
      await rm(path, { force: true });
    },
  };
}
