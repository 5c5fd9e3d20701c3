/** Keys and codes of an encoded entry, version 1. Byte by byte in `docs/formats/tree.md`. */
import { NAME_BYTES_MAX } from '../core/limits.ts';
import type { EntryType } from './entry.ts';

export const TREE_VERSION = 1;

/** Map keys of an entry; what is absent has no key. */
export const EntryKey = {
  name: 0,
  type: 1,
  mtimeSeconds: 2,
  mtimeNanos: 3,
  posix: 4,
  size: 5,
  inline: 6,
  lists: 7,
  holes: 8,
  target: 9,
  pages: 10,
  hardLink: 11,
  changedWhileRead: 12,
} as const;
export const ENTRY_KEY_MAX = 12;

/** Map keys of the POSIX metadata. */
export const PosixKey = { mode: 0, uid: 1, gid: 2, rdev: 3, xattrs: 4 } as const;
export const POSIX_KEY_MAX = 4;

export const TYPE_CODE: Readonly<Record<EntryType, number>> = {
  file: 1,
  dir: 2,
  symlink: 3,
  fifo: 4,
  chardev: 5,
  blockdev: 6,
};
/** Types by code; 0 is none. */
export const TYPES: readonly (EntryType | undefined)[] = [
  undefined,
  'file',
  'dir',
  'symlink',
  'fifo',
  'chardev',
  'blockdev',
];

/** A content reference: chunk id ‖ length u32, little-endian. */
export const REF_BYTES = 36;
export const ID_BYTES = 32;
export const HARD_LINK_BYTES = 16;
export const UINT32_MAX = 0xffff_ffff;
/** Linux allows 4095 bytes in a link; others a little more. */
export const TARGET_BYTES_MAX = 64 * 1024;
/** Linux allows 255 bytes. */
export const XATTR_NAME_BYTES_MAX = NAME_BYTES_MAX;
/** Fields of later versions in one map: bounds what a reader keeps. */
export const UNKNOWN_FIELDS_MAX = 64;
