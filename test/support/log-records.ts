import { readFileSync } from 'node:fs';

/** Where each record of a log's file lies: a length of four bytes, then the record (docs/formats/log-segment.md). */
export function recordsIn(file: string): { at: number; length: number }[] {
  const bytes = readFileSync(file);
  const out: { at: number; length: number }[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    out.push({ at: at + 4, length });
    at += 4 + length;
  }
  return out;
}
