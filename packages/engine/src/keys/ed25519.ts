/** Ed25519 signatures (RFC 8032) over a domain and a message, so that no signature of one kind passes for another. */
import type { Sodium } from '../codec/sodium.ts';
import { EdgeError } from '../core/errors.ts';

export const SIGNATURE_BYTES = 64;
export const SIGN_SEED_BYTES = 32;
export const SIGN_PUBLIC_KEY_BYTES = 32;

/** The public key, 32 bytes, of a 32-byte seed. */
export function publicKeyOf(sodium: Sodium, seed: Uint8Array): Uint8Array {
  return sodium.crypto_sign_seed_keypair(checkedSeed(seed)).publicKey;
}

/** Signs `domain ‖ 0x00 ‖ message`; 64 bytes. */
export function signInDomain(sodium: Sodium, domain: string, message: Uint8Array, seed: Uint8Array): Uint8Array {
  return sodium.crypto_sign_detached(
    inDomain(domain, message),
    sodium.crypto_sign_seed_keypair(checkedSeed(seed)).privateKey,
  );
}

/** Whether the signature is the key's own over `domain ‖ 0x00 ‖ message`; false too for lengths that cannot be right. */
export function verifyInDomain(
  sodium: Sodium,
  domain: string,
  message: Uint8Array,
  signature: Uint8Array,
  publicKey: Uint8Array,
): boolean {
  if (signature.length !== SIGNATURE_BYTES || publicKey.length !== SIGN_PUBLIC_KEY_BYTES) return false;
  return sodium.crypto_sign_verify_detached(signature, inDomain(domain, message), publicKey);
}

function inDomain(domain: string, message: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${domain}\0`, 'utf8'), message]);
}

function checkedSeed(seed: Uint8Array): Uint8Array {
  if (seed.length !== SIGN_SEED_BYTES) throw new EdgeError('E_FAILED', 'a signing seed has 32 bytes');
  return seed;
}
