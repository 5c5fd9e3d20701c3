/** Where the chunks of a file lie in it: content is the bytes outside the holes, in order, so a chunk may go on behind a hole. */
import { formatError } from '../../core/errors.ts';
import type { Hole } from '../../tree/entry.ts';
import type { Segment } from './extract-batch.ts';

/** Hands out the segments of one chunk after the other. E_FORMAT when holes overlap, leave the file, or content is longer than the file. */
export function createContentLayout(size: number, holes: readonly Hole[] = []): (length: number) => Segment[] {
  let last = 0;
  for (const hole of holes) {
    if (hole.offset < last || hole.length <= 0 || hole.offset + hole.length > size) {
      throw formatError('file entry', 'its holes overlap or lie outside the file');
    }
    last = hole.offset + hole.length;
  }
  let at = 0;
  let nextHole = 0;
  return (length) => {
    const segments: Segment[] = [];
    let from = 0;
    while (from < length) {
      while (nextHole < holes.length && holes[nextHole]!.offset <= at) {
        at = holes[nextHole]!.offset + holes[nextHole]!.length;
        nextHole++;
      }
      const end = nextHole < holes.length ? holes[nextHole]!.offset : size;
      const part = Math.min(length - from, end - at);
      if (part <= 0) throw formatError('file entry', 'its content is longer than its size and holes allow');
      segments.push({ to: at, from, length: part });
      at += part;
      from += part;
    }
    return segments;
  };
}
