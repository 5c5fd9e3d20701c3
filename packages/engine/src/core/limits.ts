/** The bounds that hold everywhere, each with its reason. Lengths are checked against these before anything is allocated. */

export const KIB = 1024;
export const MIB = 1024 * KIB;

/** Largest plaintext of one chunk: twice the chunker's default maximum leaves room for another chunker. */
export const CHUNK_PLAIN_BYTES_MAX = 4 * MIB;
/** Largest sealed chunk: plaintext, header, Padmé (at most 12 %), nonce and tag. */
export const CHUNK_SEALED_BYTES_MAX = 5 * MIB;
/** Local packs are closed when they reach this many bytes. */
export const PACK_LOCAL_BYTES_TARGET = 32 * MIB;
/** Packs in a bucket: one PutObject each. */
export const PACK_BUCKET_BYTES_TARGET = 64 * MIB;
/** No pack may be larger (target and one frame, rounded up); a reader refuses what claims to be. */
export const PACK_BYTES_MAX = 128 * MIB;
/** Frames in one pack: bounds the index that a reader allocates (80 bytes each). */
export const PACK_FRAMES_MAX = 262_144;
/**
 * Packs are closed at this many frames, however short they are: what is in memory of a pack while it is written,
 * adopted or moved is some kB a frame.
 */
export const PACK_FRAMES_TARGET = 32_768;
/** Bytes of the file `marks`: 1.5 million single copies. It is read as one buffer. */
export const MARKS_FILE_BYTES_MAX = 64 * MIB;
/** Encoded bytes of one tree page (its plaintext). */
export const TREE_PAGE_BYTES_MAX = 4 * MIB;
/** Folders below one another: a crafted tree cannot recurse for ever. */
export const TREE_DEPTH_MAX = 10_000;
/** Bytes of one name. Linux allows 255; other systems up to 1024. */
export const NAME_BYTES_MAX = 1024;
/** Chunk ids, or frames, in one request between peers. */
export const PEER_ITEMS_MAX = 4096;
/** A free-space floor below which capture stops (P7): the reserve for demote, gc and rebuild. */
export const FREE_SPACE_FLOOR_BYTES = 64 * MIB + PACK_LOCAL_BYTES_TARGET;
/** Content references kept inline in a file entry; beyond, they lie in list chunks. */
export const INLINE_CONTENT_REFS_MAX = 1024;
/** Content references in one list chunk (36 bytes each). */
export const LIST_CHUNK_REFS_MAX = 16_384;
/** Which stores an owner's shards lie at. Constant until layouts come: every holder of the owner's policy keeps every shard. */
export const LAYOUT_VERSION = 1;
