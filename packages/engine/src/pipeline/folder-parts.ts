/**
 * Folders with very many entries are taken in parts, so that their states, rows and pages take bounded memory and a change costs one part. A part
 * ends where the hash of a name says so, whatever happened before: the same entries always give the same parts, and so the same pages.
 */
import type { NameRange } from './scan-types.ts';

/** A folder with more entries than this is taken in parts, and no part has more. */
export const PART_ENTRIES_MAX = 65_536;
const PART_ENTRIES_MIN = 16_384;
/** One name in 8192 may end a part. */
const CUT_MASK = 0x1fff;

/** The parts of a folder of these names, which are sorted; at least one. */
export function cutIntoParts(names: {
  readonly length: number;
  at(index: number): Uint8Array | undefined;
}): NameRange[] {
  const parts: NameRange[] = [];
  let after: Uint8Array | undefined;
  let count = 0;
  for (let i = 0; i < names.length - 1; i++) {
    count++;
    const name = names.at(i)!;
    const isCut = count >= PART_ENTRIES_MAX || (count >= PART_ENTRIES_MIN && (hashName(name) & CUT_MASK) === 0);
    if (!isCut) continue;
    const upTo = new Uint8Array(name);
    parts.push({ after, upTo });
    after = upTo;
    count = 0;
  }
  parts.push({ after, upTo: undefined });
  return parts;
}

/** FNV-1a with a final mix; it only has to spread names. */
function hashName(name: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name[i]!, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 12)) >>> 0;
}
