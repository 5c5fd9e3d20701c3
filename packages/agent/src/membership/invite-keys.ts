/**
 * What follows from the one-time secret of an invitation. The inviter keeps only the public halves, so its stored invitations let nobody join
 * and open nothing.
 */
import type { Sodium } from '@edgestore/engine';
import { EdgeError, signInDomain, verifyInDomain } from '@edgestore/engine';

export interface InviteKeys {
  /** Ed25519 seed that proves the secret. */
  readonly proofSeed: Uint8Array;
  readonly proofPublicKey: Uint8Array;
  /** X25519 pair that the vault key is sealed to. */
  readonly boxPublicKey: Uint8Array;
  readonly boxPrivateKey: Uint8Array;
}

const DOMAIN = 'edgestore join v1';

/** Subkeys by crypto_kdf (BLAKE2b) with context `edgejoin`: 1 for the proof, 2 for the box. */
export function deriveInviteKeys(sodium: Sodium, secret: Uint8Array): InviteKeys {
  const derive = (id: number): Uint8Array => sodium.crypto_kdf_derive_from_key(32, id, 'edgejoin', secret);
  const proofSeed = derive(1);
  const box = sodium.crypto_box_seed_keypair(derive(2));
  return {
    proofSeed,
    proofPublicKey: sodium.crypto_sign_seed_keypair(proofSeed).publicKey,
    boxPublicKey: box.publicKey,
    boxPrivateKey: box.privateKey,
  };
}

/** Signs both ends of the channel and what is asked, so that the proof is worth nothing on another channel or with another request. */
export function proveInvite(
  sodium: Sodium,
  keys: InviteKeys,
  serverPin: Uint8Array,
  clientPin: Uint8Array,
  request: Uint8Array,
): Uint8Array {
  return signInDomain(sodium, DOMAIN, Buffer.concat([serverPin, clientPin, request]), keys.proofSeed);
}

export function verifyInvite(
  sodium: Sodium,
  proofPublicKey: Uint8Array,
  serverPin: Uint8Array,
  clientPin: Uint8Array,
  request: Uint8Array,
  proof: Uint8Array,
): boolean {
  return verifyInDomain(sodium, DOMAIN, Buffer.concat([serverPin, clientPin, request]), proof, proofPublicKey);
}

export function sealForInvited(sodium: Sodium, boxPublicKey: Uint8Array, vaultKey: Uint8Array): Uint8Array {
  return sodium.crypto_box_seal(vaultKey, boxPublicKey);
}

/** E_INTEGRITY when it was not sealed for this invitation. */
export function openAsInvited(sodium: Sodium, keys: InviteKeys, sealed: Uint8Array): Uint8Array {
  try {
    return sodium.crypto_box_seal_open(sealed, keys.boxPublicKey, keys.boxPrivateKey);
  } catch (error) {
    throw new EdgeError('E_INTEGRITY', 'the vault key in the answer does not open with this invitation', {
      cause: error,
    });
  }
}
