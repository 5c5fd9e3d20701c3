/**
 * A pack is an immutable file of sealed chunks: header ‖ frames ‖ index ‖ footer. The constants of its layout, version 1.
 * Byte by byte in `docs/formats/pack.md`.
 */
import type { PackClass } from '../core/ids.ts';

export const PACK_VERSION = 1;
export const PACK_HEADER_BYTES = 64;
/** Bytes before each sealed chunk. */
export const FRAME_HEADER_BYTES = 48;
/** Bytes of one frame's row in the index. */
export const INDEX_ENTRY_BYTES = 80;
export const PACK_FOOTER_BYTES = 64;

export const PACK_MAGIC: Uint8Array = Buffer.from('EDGEPACK', 'latin1');
export const FRAME_MAGIC: Uint8Array = Buffer.from('EFRM', 'latin1');
export const FOOTER_MAGIC: Uint8Array = Buffer.from('EDGEPEND', 'latin1');

/** The byte that stands for a class in headers and frames. */
export const CLASS_CODE: Readonly<Record<PackClass, number>> = { data: 1, meta: 2 };

/** The class of a code; undefined for one that version 1 does not know. */
export function packClassOfCode(code: number): PackClass | undefined {
  return code === CLASS_CODE.data ? 'data' : code === CLASS_CODE.meta ? 'meta' : undefined;
}
