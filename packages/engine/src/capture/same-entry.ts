/** Whether two root entries say the same: the same tree with the same metadata. */
import { bytesEqual } from '../core/bytes.ts';
import { encodeEntry } from '../tree/encode-entry.ts';
import type { Entry } from '../tree/entry.ts';

export function sameEntry(a: Entry, b: Entry): boolean {
  return bytesEqual(encodeEntry(a, true), encodeEntry(b, true));
}
