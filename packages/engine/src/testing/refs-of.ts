import type { ContentRef, Entry } from '../tree/entry.ts';

/** The content references of a file that keeps them inline; throws for any other. */
export function refsOf(entry: Entry): readonly ContentRef[] {
  if (entry.content?.form !== 'inline') throw new Error('the entry has no inline content');
  return entry.content.refs;
}
