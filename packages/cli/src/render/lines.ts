/** Building blocks of text output: aligned columns, and ids and names as they are shown everywhere. */
import { escapeName } from '@edgestore/engine/names';

/** Rows with their columns aligned; `right` names the columns (from 0) that are numbers. Empty rows give no line. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string[] {
  if (rows.length === 0) return [];
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => widthOf(row[column] ?? ''))));
  return all.map((row) =>
    row
      .map((cell, column) => {
        const gap = ' '.repeat(Math.max(0, widths[column]! - widthOf(cell)));
        return right.includes(column) ? gap + cell : cell + gap;
      })
      .join('  ')
      .trimEnd(),
  );
}

/** `key: value` lines with the values aligned; undefined values are left out. */
export function facts(pairs: readonly (readonly [string, string | undefined])[]): string[] {
  const shown = pairs.filter((pair): pair is readonly [string, string] => pair[1] !== undefined);
  const width = Math.max(0, ...shown.map(([key]) => key.length));
  return shown.map(([key, value]) => `${`${key}:`.padEnd(width + 1)}  ${value}`);
}

/** The first 8 hex digits of an id. */
export function shortId(id: string): string {
  return id.slice(0, 8);
}

/** A path of JSON as it can be shown on a terminal and typed back: where the text lost something, it is escaped already. */
export function shownPath(entry: { readonly path: string; readonly path_b64?: string }): string {
  return entry.path_b64 === undefined ? escapeName(Buffer.from(entry.path, 'utf8')) : entry.path;
}

/** `2026-11-20 22:00:00Z` from RFC 3339. */
export function shownTime(time: string | undefined | null): string {
  if (time === undefined || time === null) return '-';
  return time.replace('T', ' ').replace(/\.\d+Z$/, 'Z');
}

/** Text without its colours, counted in characters: good enough for names of most scripts. */
function widthOf(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control sequences.
  return [...text.replace(/\x1b\[[0-9;]*m/g, '')].length;
}
