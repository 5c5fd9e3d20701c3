/** Layout of a record's body: what is sealed in entries of kinds 1 and 9. Byte by byte in `docs/formats/record.md` and `chain.md`. */
import { MIB } from '../core/limits.ts';

/** Plain length u32, stored length u32, codec u8. */
export const BODY_HEADER_BYTES = 9;
/** Largest body before compression: a checkpoint of 100,000 snapshots. */
export const BODY_PLAIN_BYTES_MAX = 64 * MIB;

export const BodyCodec = { raw: 0, zstd: 1 } as const;

/** Bounds of texts in bodies, in bytes of UTF-8. */
export const ROOT_NAME_BYTES_MAX = 1024;
export const PATH_BYTES_MAX = 64 * 1024;
export const CONFIG_BYTES_MAX = 4 * MIB;
export const SHORT_TEXT_BYTES_MAX = 4096;
export const TAGS_MAX = 64;
export const ROOTS_MAX = 10_000;
/** Snapshots that one damaged record names: 3.4 MB. */
export const DAMAGED_SNAPSHOTS_MAX = 100_000;
/** Types of a record's body (kind 1 of the chain). */
export const RecordType = { snapshot: 1, forget: 2, pin: 3, unpin: 4, settings: 5, damaged: 6 } as const;
