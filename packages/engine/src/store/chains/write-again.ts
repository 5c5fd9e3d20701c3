/**
 * Makes bytes durable that a kill may have left unsynced. They are written again, because pages of which an fsync failed count as clean: another fsync would say
 * success and write nothing (docs/chain.md 2.5, 3.9).
 */
import { open } from 'node:fs/promises';
import { toEdgeError } from '../../core/errors.ts';
import { MIB } from '../../core/limits.ts';
import { writeFully } from '../durable-write.ts';

/** The file from an offset to its end. The caller fsyncs the folder. */
export async function writeAgain(path: string, from: number): Promise<void> {
  try {
    const file = await open(path, 'r+');
    try {
      const { size } = await file.stat();
      const buffer = Buffer.allocUnsafe(Math.max(0, Math.min(MIB, size - from)));
      for (let at = from; at < size; ) {
        const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, size - at), at);
        if (bytesRead === 0) break;
        await writeFully(file, buffer.subarray(0, bytesRead), at);
        at += bytesRead;
      }
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw toEdgeError(error, `making ${path} durable`);
  }
}
