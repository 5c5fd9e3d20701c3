/** Changed, cut, zeroed and missing files, as a bad medium or a careless hand leaves them; and whole data dirs put back to an older image. */
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Every file below the folder whose name ends so, in the order of paths. */
export function filesBelow(folder: string, end = ''): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(end))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** Packs of a data dir or of a bucket folder; what is still being written is left out. */
export function packsBelow(folder: string): string[] {
  return filesBelow(folder, '.pack').filter((path) => /\/[0-9a-f]{2}\/[0-9a-f]{64}\.pack$/.test(path));
}

/** Packs with file content: the eleventh byte of a pack says what is in it (docs/formats/pack.md). */
export function dataPacksBelow(folder: string): string[] {
  return packsBelow(folder).filter((path) => readFileSync(path)[10] === 1);
}

/** Changes bits of one byte. Size and times of the file stay, as a medium changes nothing of them. */
export function flipByte(path: string, at: number, bits = 0x40): void {
  const { atime, mtime } = statSync(path);
  const bytes = readFileSync(path);
  const place = at < 0 ? bytes.length + at : at;
  bytes.writeUInt8(bytes.readUInt8(place) ^ bits, place);
  writeFileSync(path, bytes);
  utimesSync(path, atime, mtime);
}

export function zeroRange(path: string, at: number, length: number): void {
  const bytes = readFileSync(path);
  bytes.fill(0, at, Math.min(bytes.length, at + length));
  writeFileSync(path, bytes);
}

export function cutShort(path: string, by: number): void {
  truncateSync(path, Math.max(0, statSync(path).size - by));
}

/** A copy of a folder as it is now, kept outside everything that is tested; `putBack` makes the folder equal to it again. */
export class Image {
  readonly #folder: string;
  readonly #kept = mkdtempSync(join(tmpdir(), 'edgestore-image-'));

  constructor(folder: string) {
    this.#folder = folder;
    cpSync(folder, this.#kept, { recursive: true, preserveTimestamps: true, filter: isNoSocket });
  }

  putBack(): void {
    rmSync(this.#folder, { recursive: true, force: true });
    cpSync(this.#kept, this.#folder, { recursive: true, preserveTimestamps: true });
  }

  remove(): void {
    rmSync(this.#kept, { recursive: true, force: true });
  }
}

function isNoSocket(path: string): boolean {
  return !path.endsWith('.sock');
}
