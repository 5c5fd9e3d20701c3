/** The hold log of one owner: `holds/<owner>.log`, the owner's signed batches in order (`docs/formats/hold-log.md`). */
import { HOLD_BATCH_ENTRIES_MAX } from '../core/limits.ts';
import { decodeHoldLog, encodeHoldLogItem, HOLD_MAGIC } from '../log/hold-batch.ts';
import { type AppendFileFormat, appendDurably } from './append-file.ts';

/** Bytes of a batch before its entries, of each entry, and of the signature. */
const HEADER_BYTES = 116;
const ENTRY_BYTES = 76;
const SIGNATURE_BYTES = 64;
const batchBytes = (entries: number): number => HEADER_BYTES + entries * ENTRY_BYTES + SIGNATURE_BYTES;

export const HOLD_LOG_FORMAT: AppendFileFormat = {
  what: 'hold log',
  damageHint:
    'Put the file back from a copy. Until then every chunk here counts as held, and this owner can hold nothing new.',
  magic: HOLD_MAGIC,
  itemBytesMax: batchBytes(HOLD_BATCH_ENTRIES_MAX),
  split: (bytes) => {
    const { batches, ...rest } = decodeHoldLog(bytes);
    return { items: batches, ...rest };
  },
  claimedBytes: (start) =>
    start.length < HEADER_BYTES
      ? undefined
      : batchBytes(new DataView(start.buffer, start.byteOffset).getUint32(HEADER_BYTES - 4, true)),
};

/** Appends a batch behind `end` and returns the new end. It is durable when this resolves. */
export async function appendHoldBatch(path: string, batch: Uint8Array, end: number): Promise<number> {
  const framed = encodeHoldLogItem(batch);
  await appendDurably(path, framed, end);
  return end + framed.length;
}
