/** Layout of a record, version 1: clear envelope ‖ sealed body ‖ signature. Byte by byte in `docs/formats/record.md`. */
import { MIB } from '../core/limits.ts';

export const RECORD_VERSION = 1;
export const RECORD_MAGIC: Uint8Array = Buffer.from('EDGEREC1', 'latin1');
/** magic 8, version 2, critical 4, optional 4, vault 16, agent 16, incarnation 4, seq 8, previous 32, key id 4, body length 4. */
export const ENVELOPE_BYTES = 102;
export const SIGNATURE_DOMAIN = 'edgestore record v1';
/** Plain length u32, stored length u32, codec u8. */
export const BODY_HEADER_BYTES = 9;
/** Largest body before compression: a checkpoint of 100,000 snapshots. */
export const BODY_PLAIN_BYTES_MAX = 64 * MIB;

export const BodyCodec = { raw: 0, zstd: 1 } as const;

export const BodyType = { snapshot: 1, forget: 2, pin: 3, unpin: 4, settings: 5, takeover: 6, checkpoint: 7 } as const;
/** Bounds of texts in bodies, in bytes of UTF-8. */
export const ROOT_NAME_BYTES_MAX = 1024;
export const PATH_BYTES_MAX = 64 * 1024;
export const CONFIG_BYTES_MAX = 4 * MIB;
export const SHORT_TEXT_BYTES_MAX = 4096;
export const CARD_FIELD_BYTES_MAX = 64 * 1024;
export const TAGS_MAX = 64;
export const ROOTS_MAX = 10_000;
/** Snapshots that one damaged record names: 3.4 MB. */
export const DAMAGED_SNAPSHOTS_MAX = 100_000;
/** Types of a record's body (kind 1 of the chain). */
export const RecordType = { snapshot: 1, forget: 2, pin: 3, unpin: 4, settings: 5, damaged: 6 } as const;
