/** From a passphrase to 32 strong bytes: Argon2id (RFC 9106). */
import type { Sodium } from '../codec/sodium.ts';
import { EdgeError, formatError } from '../core/errors.ts';

/** libsodium's MODERATE: three passes over 256 MiB, about a second. */
export const ARGON_OPS_DEFAULT = 3;
export const ARGON_MEM_KIB_DEFAULT = 256 * 1024;

/** What a slot may ask for; anything beyond is an attack or damage, and is refused before it is allocated. */
const OPS_MAX = 10;
const MEM_KIB_MIN = 8 * 1024;
const MEM_KIB_MAX = 1024 * 1024;
/** Passes × KiB of libsodium's SENSITIVE, about six seconds. */
const COST_MAX = 4 * 1024 * 1024;
/**
 * Passes × KiB that one unlocking may spend, about twenty times the default cost. The rest of the slots is not tried: a store that plants slots
 * before the admin key is known cannot keep a machine busy.
 */
export const UNLOCK_COST_MAX = 4 * COST_MAX;
/** Longer than any phrase, shorter than what is plainly a wrong file. */
const PASSPHRASE_BYTES_MAX = 64 * 1024;

/** E_FORMAT when the cost that a slot states lies outside 1 to 10 passes over 8 MiB to 1 GiB, or their product is above 4 Gi passes × bytes. */
export function checkArgonCost(opsLimit: number, memLimitKib: number): void {
  const isInside = opsLimit >= 1 && opsLimit <= OPS_MAX && memLimitKib >= MEM_KIB_MIN && memLimitKib <= MEM_KIB_MAX;
  if (!isInside || opsLimit * memLimitKib > COST_MAX) {
    throw formatError('key slot', `its cost (${opsLimit} passes over ${memLimitKib} KiB) is outside what is accepted`);
  }
}

export interface PassphraseCost {
  readonly opsLimit: number;
  readonly memLimitKib: number;
  readonly salt: Uint8Array;
}

/**
 * Argon2id13(NFC(passphrase) in UTF-8, salt), 32 bytes. Takes about a second and as much memory as the cost says, which WASM never
 * gives back: call it through `derivePassphraseMasterInWorker`.
 */
export function derivePassphraseMaster(sodium: Sodium, passphrase: string, cost: PassphraseCost): Uint8Array {
  checkArgonCost(cost.opsLimit, cost.memLimitKib);
  const bytes = Buffer.from(passphrase.normalize('NFC'), 'utf8');
  if (bytes.length > PASSPHRASE_BYTES_MAX) {
    throw new EdgeError('E_USAGE', `the passphrase is longer than ${PASSPHRASE_BYTES_MAX} bytes`);
  }
  const memBytes = cost.memLimitKib * 1024;
  const algorithm = sodium.crypto_pwhash_ALG_ARGON2ID13;
  return sodium.crypto_pwhash(32, bytes, cost.salt, cost.opsLimit, memBytes, algorithm);
}
