/** How a recovering machine shows a peer that it has the vault key, without sending it. */
import type { Sodium } from '../codec/sodium.ts';
import { publicKeyOf, signInDomain, verifyInDomain } from './ed25519.ts';
import type { VaultBaseKeys } from './vault-keys.ts';

const DOMAIN = 'edgestore recovery proof v1';

/** What a vault descriptor names as its proof key. */
export function recoveryProofPublicKey(sodium: Sodium, keys: Pick<VaultBaseKeys, 'proofSeed'>): Uint8Array {
  return publicKeyOf(sodium, keys.proofSeed);
}

/**
 * Signs the peer's fresh challenge, bound to the channel it came over.
 *
 * @param challenge 32 random bytes of the peer
 * @param channelPin SHA-256 of the peer's TLS key in SPKI form, as pinned: a relay with another key gets a useless signature
 */
export function proveRecovery(
  sodium: Sodium,
  keys: Pick<VaultBaseKeys, 'proofSeed'>,
  challenge: Uint8Array,
  channelPin: Uint8Array,
): Uint8Array {
  return signInDomain(sodium, DOMAIN, Buffer.concat([challenge, channelPin]), keys.proofSeed);
}

export function verifyRecoveryProof(
  sodium: Sodium,
  proofPublicKey: Uint8Array,
  challenge: Uint8Array,
  channelPin: Uint8Array,
  proof: Uint8Array,
): boolean {
  return verifyInDomain(sodium, DOMAIN, Buffer.concat([challenge, channelPin]), proof, proofPublicKey);
}
