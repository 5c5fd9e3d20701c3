/** Chain files as tests damage them: items of a length of four bytes and an entry behind it (docs/formats/chain-files.md). */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Chain files below a folder, in the order of their entries; those of branches are left out. */
export function chainFilesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.chain') && !name.includes('branches') && !name.includes('damaged'))
    .sort()
    .map((name) => join(folder, name));
}

/** Where each entry of a file lies, behind its length. */
export function entriesIn(file: string): { readonly at: number; readonly length: number }[] {
  const bytes = readFileSync(file);
  const out: { at: number; length: number }[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    out.push({ at: at + 4, length });
    at += 4 + length;
  }
  return out;
}

/** Flips a bit in the body of an entry, counted from the end of the file. Answers the file's bytes before. */
export function damageEntry(file: string, fromEnd: number): Buffer {
  const sound = readFileSync(file);
  const damaged = Buffer.from(sound);
  damaged[entriesIn(file).at(-fromEnd)!.at + 210]! ^= 1;
  writeFileSync(file, damaged);
  return sound;
}
