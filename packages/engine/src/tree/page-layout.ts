/** Sizes of tree pages. A page is [version, critical features, optional features, [entry, …]] in CBOR. */
import { KIB, MIB } from '../core/limits.ts';

/** Array head, version, two feature words of at most 5 bytes, and the head of the list of entries. */
export const PAGE_OVERHEAD_BYTES_MAX = 32;
/** A page is not cut before it has so many bytes of entries. */
export const PAGE_BYTES_MIN = 64 * KIB;
/** It is cut before it has more, unless a single entry is longer. */
export const PAGE_BYTES_MAX = 1 * MIB;
/** One name in 512 may end a page. */
export const PAGE_CUT_MASK = 0x1ff;
