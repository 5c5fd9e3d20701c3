/**
 * XChaCha20-Poly1305, byte for byte libsodium's `crypto_aead_xchacha20poly1305_ietf` (draft-irtf-cfrg-xchacha-03): for larger
 * messages HChaCha20 from libsodium, then the runtime's own ChaCha20-Poly1305 (RFC 8439), which is five times as fast as WASM.
 */
import { createCipheriv, createDecipheriv, createSecretKey, getCiphers, type KeyObject } from 'node:crypto';
import { asBuffer } from '../core/bytes.ts';
import type { Sodium } from './sodium.ts';

export const NONCE_BYTES = 24;
export const TAG_BYTES = 16;

const CIPHER = 'chacha20-poly1305';
/** Below this a cipher object of the runtime costs more than libsodium's WASM; measured, docs/performance.md. */
const NATIVE_BYTES_MIN = 3072;
const nativeAvailable = getCiphers().includes(CIPHER);

/** Which of the two implementations to use; tests set it, everyone else leaves it to the length. */
export type Route = 'native' | 'sodium';

/** Encrypts a message and writes ciphertext ‖ tag at `offset` of the target, which must have room for it. Returns the number of bytes written. */
export function encryptInto(
  sodium: Sodium,
  target: Uint8Array,
  offset: number,
  message: Uint8Array,
  associatedData: Uint8Array,
  nonce: Uint8Array,
  key: Uint8Array,
  route?: Route,
): number {
  const { length } = message;
  if ((route ?? routeFor(length)) === 'sodium') {
    target.set(sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(message, associatedData, null, nonce, key), offset);
    return length + TAG_BYTES;
  }
  const cipher = createCipheriv(CIPHER, subkey(sodium, nonce, key), innerNonce(nonce), { authTagLength: TAG_BYTES });
  cipher.setAAD(associatedData, { plaintextLength: length });
  target.set(cipher.update(message), offset);
  cipher.final();
  target.set(cipher.getAuthTag(), offset + length);
  return length + TAG_BYTES;
}

/** Encrypts one message: ciphertext ‖ tag in new memory. */
export function encrypt(
  sodium: Sodium,
  message: Uint8Array,
  associatedData: Uint8Array,
  nonce: Uint8Array,
  key: Uint8Array,
  route?: Route,
): Uint8Array {
  const out = new Uint8Array(message.length + TAG_BYTES);
  encryptInto(sodium, out, 0, message, associatedData, nonce, key, route);
  return out;
}

/**
 * Decrypts ciphertext ‖ tag into new memory; undefined when the tag does not verify (or there is no room for one), and then
 * no decrypted byte leaves this function.
 */
export function decrypt(
  sodium: Sodium,
  sealed: Uint8Array,
  associatedData: Uint8Array,
  nonce: Uint8Array,
  key: Uint8Array,
  route?: Route,
): Uint8Array | undefined {
  const length = sealed.length - TAG_BYTES;
  if (length < 0) return undefined;
  if ((route ?? routeFor(length)) === 'sodium') {
    try {
      return sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(null, sealed, associatedData, nonce, key);
    } catch {
      // The wrapper has one error for every failure here; lengths were checked, so what remains is the tag.
      return undefined;
    }
  }
  const decipher = createDecipheriv(CIPHER, subkey(sodium, nonce, key), innerNonce(nonce), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(associatedData, { plaintextLength: length });
  decipher.setAuthTag(sealed.subarray(length));
  // What update() returns is not verified yet; it is handed out only after final() accepted the tag.
  const unverified = decipher.update(sealed.subarray(0, length));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return unverified;
}

function routeFor(length: number): Route {
  return nativeAvailable && length >= NATIVE_BYTES_MIN ? 'native' : 'sodium';
}

/** As an object: given plain bytes, the runtime's cipher functions spend twice the time of the cipher on finding out what they were given. */
function subkey(sodium: Sodium, nonce: Uint8Array, key: Uint8Array): KeyObject {
  return createSecretKey(sodium.crypto_core_hchacha20(nonce.subarray(0, 16), key, null));
}

/** RFC 8439 wants 12 bytes: four zeros, then the rest of the long nonce. */
function innerNonce(nonce: Uint8Array): Uint8Array {
  const out = Buffer.alloc(12);
  asBuffer(nonce).copy(out, 4, 16, NONCE_BYTES);
  return out;
}
