/** Takes exact numbers of bytes from a stream of pieces of any size. */
import { EdgeError } from '@edgestore/engine';

export interface ByteStream {
  /** Exactly `length` bytes, in memory of their own; E_FORMAT when the stream ends before. The caller has checked `length` against a limit. */
  take(length: number): Promise<Buffer>;
  /** True when no byte is left. */
  atEnd(): Promise<boolean>;
}

export function createByteStream(pieces: AsyncIterable<Uint8Array>, what: string): ByteStream {
  const iterator = pieces[Symbol.asyncIterator]();
  let piece: Uint8Array = new Uint8Array(0);
  let at = 0;

  /** False at the end of the stream. */
  async function refill(): Promise<boolean> {
    while (at === piece.length) {
      const next = await iterator.next();
      if (next.done === true) return false;
      piece = next.value;
      at = 0;
    }
    return true;
  }

  return {
    async take(length) {
      const out = Buffer.allocUnsafeSlow(length);
      let filled = 0;
      while (filled < length) {
        if (!(await refill())) {
          throw new EdgeError('E_FORMAT', `${what}: it ends after ${filled} of ${length} bytes`, { retryable: true });
        }
        const count = Math.min(length - filled, piece.length - at);
        out.set(piece.subarray(at, at + count), filled);
        at += count;
        filled += count;
      }
      return out;
    },
    atEnd: async () => !(await refill()),
  };
}
