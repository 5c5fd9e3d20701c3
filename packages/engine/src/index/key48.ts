import { EdgeError } from '../core/errors.ts';

/** The first 48 bits of an id, big-endian: finds candidates in the index (`docs/formats/index.md`). */
export function key48(id: Uint8Array): number {
  if (id.length !== 32) throw new EdgeError('E_FAILED', `an id of ${id.length} bytes where 32 are wanted`);
  return ((id[0]! << 16) | (id[1]! << 8) | id[2]!) * 0x1000000 + ((id[3]! << 16) | (id[4]! << 8) | id[5]!);
}
