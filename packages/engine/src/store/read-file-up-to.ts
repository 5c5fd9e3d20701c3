/** Reads a small file whose length nobody has checked. */
import { open } from 'node:fs/promises';
import { errnoOf, toEdgeError } from '../core/errors.ts';

/** At most one byte more than the bound, so that whoever checks the length refuses a longer file. Undefined when it is not there; E_IO. */
export async function readFileUpTo(path: string, bytesMax: number): Promise<Uint8Array | undefined> {
  try {
    const file = await open(path, 'r');
    try {
      const buffer = Buffer.alloc(bytesMax + 1);
      let length = 0;
      for (;;) {
        const { bytesRead } = await file.read(buffer, length, buffer.length - length, length);
        length += bytesRead;
        if (bytesRead === 0 || length === buffer.length) return buffer.subarray(0, length);
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw toEdgeError(error, `reading ${path}`);
  }
}
