/** Text of `ls` and `find`. */

import type { FoundEntry } from '@edgestore/agent/operations/find';
import type { ListedEntry, ListingData } from '@edgestore/agent/operations/listed-entry';
import type { TextContext } from '../base-command.ts';
import { printable } from '../output/printable.ts';
import { shortId, shownPath, shownTime } from './lines.ts';

export type { FoundEntry, ListedEntry, ListingData };

export function renderEntry(entry: ListedEntry, long: boolean, { colours }: TextContext): string {
  const path = `${shownPath(entry)}${entry.type === 'dir' ? '/' : ''}`;
  const name = entry.type === 'dir' ? colours.bold(path) : path;
  if (!long) return name;
  const owner = `${entry.uid}:${entry.gid}`;
  const target = entry.target === undefined ? '' : ` -> ${printable(entry.target)}`;
  const size = entry.type === 'file' ? String(entry.size ?? 0) : '-';
  return `${LETTER[entry.type] ?? '?'}${modeText(entry.mode)} ${owner.padEnd(11)} ${size.padStart(12)} ${shownTime(entry.mtime)} ${name}${target}`;
}

export function renderFound(entry: FoundEntry, long: boolean, context: TextContext): string {
  return `${context.colours.dim(`${shortId(entry.snapshot)} ${entry.root}`)}  ${renderEntry(entry, long, context)}`;
}

const LETTER: Readonly<Record<string, string>> = {
  file: '-',
  dir: 'd',
  symlink: 'l',
  fifo: 'p',
  chardev: 'c',
  blockdev: 'b',
};

/** `rwxr-xr-x` from octal digits such as `0755`. */
function modeText(mode: string): string {
  const bits = Number.parseInt(mode, 8);
  const letters = [...'rwxrwxrwx'].map((letter, i) => ((bits >> (8 - i)) & 1 ? letter : '-'));
  const special: [number, number, string][] = [
    [0o4000, 2, 's'],
    [0o2000, 5, 's'],
    [0o1000, 8, 't'],
  ];
  for (const [bit, at, letter] of special)
    if (bits & bit) letters[at] = letters[at] === 'x' ? letter : letter.toUpperCase();
  return letters.join('');
}
