import { asBuffer } from '../core/bytes.ts';
import { CHUNK_PLAIN_BYTES_MAX, INLINE_CONTENT_REFS_MAX, NAME_BYTES_MAX } from '../core/limits.ts';
import type { ContentRef, Entry, Hole, Xattr } from './entry.ts';
import { HARD_LINK_BYTES, ID_BYTES, TARGET_BYTES_MAX, UINT32_MAX, XATTR_NAME_BYTES_MAX } from './entry-layout.ts';

const SLASH = 0x2f;
const DOT = 0x2e;

/**
 * What is wrong with an entry, or undefined. It holds for what is written and for what is read alike, so that no capture writes what no restore
 * takes. A name that is a path, or empty, never passes: this is where a hostile tree ends.
 *
 * @param isRoot the root entry of a snapshot, which has the empty name
 */
export function checkEntry(entry: Entry, isRoot: boolean): string | undefined {
  return nameProblem(entry.name, isRoot) ?? metaProblem(entry) ?? contentProblem(entry);
}

/** What is wrong with a name as one path component, or undefined. */
export function nameProblem(name: Uint8Array, isRoot: boolean): string | undefined {
  const { length } = name;
  if (isRoot) return length === 0 ? undefined : 'a root entry has no name';
  if (length === 0) return 'a name is empty';
  if (length > NAME_BYTES_MAX) return `a name has ${length} bytes`;
  if (name[0] === DOT && (length === 1 || (length === 2 && name[1] === DOT))) return 'a name is "." or ".."';
  for (let i = 0; i < length; i++) {
    if (name[i] === SLASH) return 'a name has a slash in it';
    if (name[i] === 0) return 'a name has a NUL in it';
  }
  return undefined;
}

function metaProblem({ type, posix, hardLink, target, pages, changedWhileRead, content, size, holes }: Entry) {
  if (!(posix.mode >= 0 && posix.mode <= 0o7777)) return 'mode bits out of range';
  if (!(posix.uid >= 0 && posix.uid <= UINT32_MAX && posix.gid >= 0 && posix.gid <= UINT32_MAX))
    return 'owner out of range';
  const isDevice = type === 'chardev' || type === 'blockdev';
  if (isDevice !== (posix.rdev !== undefined))
    return isDevice ? 'a device without its numbers' : `device numbers on a ${type}`;
  if ((type === 'symlink') !== (target !== undefined))
    return type === 'symlink' ? 'a symlink without target' : `a target on a ${type}`;
  if (target !== undefined && (target.length === 0 || target.length > TARGET_BYTES_MAX || target.includes(0)))
    return 'a symlink target that no system has';
  if (type !== 'dir' && pages !== undefined) return `tree pages on a ${type}`;
  if (pages?.some((id) => id.length !== ID_BYTES) === true) return 'a page id that has not 32 bytes';
  if (type !== 'file' && (content ?? size ?? holes ?? changedWhileRead) !== undefined) return `content on a ${type}`;
  if (hardLink !== undefined && (type === 'dir' || hardLink.length !== HARD_LINK_BYTES))
    return 'a hard link id that cannot be';
  return posix.xattrs === undefined ? undefined : xattrProblem(posix.xattrs);
}

function xattrProblem(xattrs: readonly Xattr[]): string | undefined {
  if (xattrs.length === 0) return 'an empty list of extended attributes';
  for (let i = 0; i < xattrs.length; i++) {
    const { name } = xattrs[i]!;
    if (name.length === 0 || name.length > XATTR_NAME_BYTES_MAX || name.includes(0))
      return 'an extended attribute name that no system has';
    if (i > 0 && asBuffer(xattrs[i - 1]!.name).compare(name) >= 0) return 'extended attributes are not in order';
  }
  return undefined;
}

function contentProblem({ type, size, content, holes }: Entry): string | undefined {
  if (type !== 'file') return undefined;
  if (size === undefined || !Number.isSafeInteger(size) || size < 0) return 'a file without size';
  let holeBytes = 0;
  if (holes !== undefined) {
    const problem = holeProblem(holes, size);
    if (problem !== undefined) return problem;
    for (const hole of holes) holeBytes += hole.length;
  }
  if (content?.form === 'lists') {
    if (content.lists.length === 0 || size === holeBytes) return 'content lists of a file without content';
    return refsProblem(content.lists);
  }
  const refs = content?.refs ?? [];
  if (refs.length > INLINE_CONTENT_REFS_MAX) return `${refs.length} inline content references`;
  let contentBytes = 0;
  for (const ref of refs) contentBytes += ref.length;
  if (contentBytes + holeBytes !== size)
    return `${contentBytes} bytes of content and ${holeBytes} of holes in a file of ${size}`;
  return refsProblem(refs);
}

/** What is wrong with a list of content references, or undefined. */
export function refsProblem(refs: readonly ContentRef[]): string | undefined {
  for (const ref of refs) {
    if (ref.id.length !== ID_BYTES) return 'a chunk id that has not 32 bytes';
    if (!(ref.length >= 1 && ref.length <= CHUNK_PLAIN_BYTES_MAX)) return `a chunk of ${ref.length} bytes`;
  }
  return undefined;
}

function holeProblem(holes: readonly Hole[], size: number): string | undefined {
  if (holes.length === 0) return 'an empty list of holes';
  let end = -1;
  for (const { offset, length } of holes) {
    if (!(offset > end && length >= 1 && offset + length <= size))
      return 'holes that overlap, touch, or lie outside the file';
    end = offset + length;
  }
  return undefined;
}
