import { type FileHandle, open } from 'node:fs/promises';
import { EdgeError, errnoOf, isEdgeError, toEdgeError } from '../../core/errors.ts';
import type { PackName } from '../../core/ids.ts';
import { PACK_BYTES_MAX } from '../../core/limits.ts';
import { PACK_FOOTER_BYTES, PACK_HEADER_BYTES } from '../../pack/layout.ts';
import { decodePackTail, type PackContents, packTailBytes, readPackFooter } from '../../pack/pack-tail.ts';

export interface PackFileContents extends PackContents {
  readonly bytes: number;
  readonly modifiedNs: bigint;
}

/**
 * Header, index and footer of a pack file, checked against its name. Undefined when there is no such file; E_INTEGRITY when it is not the pack
 * that its name says, E_NEWER_FORMAT for one of a newer program.
 */
export async function readPackTail(path: string, name: PackName): Promise<PackFileContents | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw toEdgeError(error, `opening pack ${path}`);
  }
  try {
    const { size, mtimeNs } = await file.stat({ bigint: true });
    const bytes = Number(size);
    if (bytes < PACK_HEADER_BYTES + PACK_FOOTER_BYTES || bytes > PACK_BYTES_MAX)
      throw damaged(path, name, `it has ${bytes} bytes`);
    const header = await readExactly(file, 0, PACK_HEADER_BYTES);
    const footer = readPackFooter(await readExactly(file, bytes - PACK_FOOTER_BYTES, PACK_FOOTER_BYTES));
    const tailBytes = packTailBytes(footer.frames);
    if (tailBytes > bytes) throw damaged(path, name, 'its index is longer than the pack');
    const contents = decodePackTail(await readExactly(file, bytes - tailBytes, tailBytes), header, bytes);
    if (contents.name !== name) throw damaged(path, name, 'its header or index is not the one it was named after');
    return { ...contents, bytes, modifiedNs: mtimeNs };
  } catch (error) {
    if (isEdgeError(error, 'E_FORMAT')) throw damaged(path, name, error.message, error);
    throw toEdgeError(error, `reading pack ${path}`);
  } finally {
    await file.close();
  }
}

/** Reads so many bytes at the offset; E_INTEGRITY when the file ends before. */
export async function readExactly(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  const read = await readUpTo(file, bytes, offset);
  if (read < length)
    throw new EdgeError(
      'E_INTEGRITY',
      `the file ends at byte ${offset + read}, ${length} bytes were wanted at ${offset}`,
    );
  return bytes;
}

/** Fills the buffer from the offset and says how far it got: less than its length only at the end of the file. */
export async function readUpTo(file: FileHandle, bytes: Buffer, offset: number): Promise<number> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, offset + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

function damaged(path: string, name: PackName, problem: string, cause?: unknown): EdgeError {
  return new EdgeError('E_INTEGRITY', `pack ${path} is damaged: ${problem}`, {
    hint: 'Run `edgestore scrub` to see what it touches; other copies are used where there are any.',
    context: { pack: name, path },
    ...(cause === undefined ? {} : { cause }),
  });
}
