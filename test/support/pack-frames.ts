import { readFileSync } from 'node:fs';

/** Bytes of a frame's header; its sealed bytes follow. */
export const FRAME_HEAD_BYTES = 48;

/** Where the frames of a pack begin (docs/formats/pack.md). */
export function framesOf(pack: string): number[] {
  const bytes = readFileSync(pack);
  const found: number[] = [];
  for (
    let at = 64;
    bytes.toString('latin1', at, at + 4) === 'EFRM';
    at += FRAME_HEAD_BYTES + bytes.readUInt32LE(at + 4)
  )
    found.push(at);
  return found;
}
