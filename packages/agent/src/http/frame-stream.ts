/**
 * Sealed chunks on the wire (`docs/formats/peer-protocol.md`, "Frame stream"): items of one tag byte each, ended by an end item, so that a
 * stream which was cut between two items is not taken for a whole one. Each length is checked before anything is allocated for it.
 */

import {
  decodeFrameHeader,
  encodeFrameHeader,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  formatError,
  type MissReason,
} from '@edgestore/engine';
import { createByteStream } from './byte-stream.ts';

const TAG_END = 0;
const TAG_FRAME = 1;
const TAG_MISS = 2;
const REASONS = { absent: 1, damaged: 2, unreadable: 3 } as const;
const REASON_BY_CODE = new Map(Object.entries(REASONS).map(([reason, code]) => [code, reason as MissReason]));

export type FrameItem =
  | { readonly type: 'frame'; readonly header: FrameHeader; readonly sealed: Uint8Array }
  | { readonly type: 'miss'; readonly id: Uint8Array; readonly reason: MissReason };

/** The pieces to send for one item; the sealed bytes are not copied. */
export function encodeFrameItem(item: FrameItem): Uint8Array[] {
  if (item.type === 'miss') return [Buffer.concat([Buffer.from([TAG_MISS, REASONS[item.reason]]), item.id])];
  return [Buffer.concat([Buffer.from([TAG_FRAME]), encodeFrameHeader(item.header)]), item.sealed];
}

export function encodeFrameEnd(): Uint8Array {
  return Buffer.from([TAG_END]);
}

/** Reads items until the end item. E_FORMAT on anything else, and when there are more than `limit`. */
export async function* decodeFrameStream(pieces: AsyncIterable<Uint8Array>, limit: number): AsyncGenerator<FrameItem> {
  const stream = createByteStream(pieces, 'frame stream');
  for (let count = 0; ; count++) {
    const tag = (await stream.take(1))[0];
    if (tag === TAG_END) break;
    if (count >= limit) throw formatError('frame stream', `more than ${limit} items`);
    if (tag === TAG_FRAME) {
      const header = decodeFrameHeader(await stream.take(FRAME_HEADER_BYTES));
      yield { type: 'frame', header, sealed: await stream.take(header.sealedBytes) };
    } else if (tag === TAG_MISS) {
      const bytes = await stream.take(33);
      const reason = REASON_BY_CODE.get(bytes[0] as 1 | 2 | 3);
      if (reason === undefined) throw formatError('frame stream', `reason ${bytes[0]} is unknown`);
      yield { type: 'miss', id: bytes.subarray(1), reason };
    } else {
      throw formatError('frame stream', `tag ${tag} is unknown`);
    }
  }
  if (!(await stream.atEnd())) throw formatError('frame stream', 'there are bytes after its end');
}
