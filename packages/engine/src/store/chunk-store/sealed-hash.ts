import { hash } from 'node:crypto';
import { bytesEqual } from '../../core/bytes.ts';

/** Whether the sealed bytes are the ones with this SHA-256. */
export function sha256Matches(sealed: Uint8Array, sha256: Uint8Array): boolean {
  return bytesEqual(hash('sha256', sealed, 'buffer'), sha256);
}
