/** Names as the C library wants them: bytes with a NUL behind. */
import { EdgeError } from '../core/errors.ts';

/** Enough for every path that the kernel takes in one call (4096 with its NUL). */
const SCRATCH_BYTES = 8192;
const scratches = [Buffer.allocUnsafeSlow(SCRATCH_BYTES), Buffer.allocUnsafeSlow(SCRATCH_BYTES)];
let turn = 0;

/**
 * The bytes with a NUL behind them, in memory that is used again two calls later: pass it on at once. E_USAGE when they have a NUL in
 * them, which would name another file.
 */
export function cString(bytes: Uint8Array): Uint8Array {
  if (bytes.indexOf(0) !== -1) throw new EdgeError('E_USAGE', 'a path may not have a NUL byte in it');
  turn ^= 1;
  const scratch = bytes.length < SCRATCH_BYTES ? scratches[turn]! : Buffer.allocUnsafeSlow(bytes.length + 1);
  scratch.set(bytes, 0);
  scratch[bytes.length] = 0;
  return scratch;
}
