import type { PackName } from '../../core/ids.ts';
import { MIB } from '../../core/limits.ts';
import type { SealedAddress } from '../../core/ports/sealed-source.ts';
import { FRAME_HEADER_BYTES } from '../../pack/layout.ts';

export type Located = SealedAddress & { readonly pack: PackName; readonly offset: number };

/** Neighbouring frames of a pack, read with one call. */
export interface Range {
  readonly start: number;
  readonly end: number;
  readonly addresses: readonly Located[];
}

/** Frames with less than this between them are read as one: a seek costs more. */
const GAP_BYTES_MAX = 64 * 1024;
/** Bytes of one read, which bounds memory; a single larger frame is one read of its own. */
const RANGE_BYTES_MAX = 4 * MIB;

export function rangesOf(addresses: readonly Located[]): Range[] {
  const ranges: Range[] = [];
  let open: Located[] = [];
  let start = 0;
  let end = 0;
  const close = (): void => {
    if (open.length > 0) ranges.push({ start, end, addresses: open });
  };
  for (const address of addresses.toSorted((a, b) => a.offset - b.offset)) {
    const from = Math.max(0, address.offset - FRAME_HEADER_BYTES);
    const to = address.offset + address.sealedBytes;
    if (open.length === 0 || from - end > GAP_BYTES_MAX || to - start > RANGE_BYTES_MAX) {
      close();
      open = [];
      start = from;
      end = to;
    }
    open.push(address);
    end = Math.max(end, to);
  }
  close();
  return ranges;
}
