/** Every key that follows from a vault key, as one plain object that can be posted to worker threads. */
import type { Sodium } from '../codec/sodium.ts';
import { EdgeError } from '../core/errors.ts';
import type { VaultId } from '../core/ids.ts';

/** One generation of the keys that may be rotated; `keyId` is what frames and records name in the clear. */
export interface KeyGeneration {
  readonly keyId: number;
  readonly sealingKey: Uint8Array;
  readonly nonceKey: Uint8Array;
  readonly recordKey: Uint8Array;
}

/** All byte fields are 32 bytes. Structured-clonable; never logged. */
export interface VaultKeys {
  readonly vaultId: VaultId;
  /** Keys chunk ids; the same for ever, or nothing would deduplicate. */
  readonly idKey: Uint8Array;
  /** Seeds the chunker's gear table; the same for ever, for the same reason. */
  readonly chunkerSecret: Uint8Array;
  /** The generation that new chunks and records are sealed with. */
  readonly currentKeyId: number;
  readonly generations: readonly KeyGeneration[];
  /** Keys the MAC of the vault descriptor. */
  readonly macKey: Uint8Array;
  /** Wraps the admin seed where an agent keeps it. */
  readonly adminWrapKey: Uint8Array;
  /** Ed25519 seed with which a recovering machine proves to a peer that it has the vault key. */
  readonly proofSeed: Uint8Array;
}

export const VAULT_KEY_BYTES = 32;
/** Bounds the key table that a descriptor may carry, and so the derivations that it may ask for. */
export const KEY_GENERATIONS_MAX = 64;
export const FIRST_KEY_ID = 1;

/**
 * Derives every key of a vault with `crypto_kdf_derive_from_key` (docs/formats/keys.md).
 *
 * @param vaultKey 32 bytes
 * @param keyIds the key table's ids; the largest is current
 */
export function deriveVaultKeys(
  sodium: Sodium,
  vaultId: VaultId,
  vaultKey: Uint8Array,
  keyIds: readonly number[] = [FIRST_KEY_ID],
): VaultKeys {
  if (vaultKey.length !== VAULT_KEY_BYTES) throw new EdgeError('E_WRONG_KEY', 'a vault key has 32 bytes');
  if (keyIds.length === 0 || keyIds.length > KEY_GENERATIONS_MAX) {
    throw new EdgeError('E_FORMAT', `a key table has 1 to ${KEY_GENERATIONS_MAX} generations, not ${keyIds.length}`);
  }
  const derive = (context: string, subkeyId: number): Uint8Array =>
    sodium.crypto_kdf_derive_from_key(32, subkeyId, context, vaultKey);
  return {
    vaultId,
    idKey: derive('edge-id_', 1),
    chunkerSecret: derive('edgegear', 1),
    currentKeyId: Math.max(...keyIds),
    generations: keyIds.map((keyId) => ({
      keyId,
      sealingKey: derive('edgeseal', keyId),
      nonceKey: derive('edgenonc', keyId),
      recordKey: derive('edgelog_', keyId),
    })),
    macKey: derive('edgemac_', 1),
    adminWrapKey: derive('edgeadmn', 1),
    proofSeed: derive('edgeprof', 1),
  };
}

/** The keys of one generation, or undefined when the key table does not name it. */
export function generationOf(keys: VaultKeys, keyId: number): KeyGeneration | undefined {
  return keys.generations.find((generation) => generation.keyId === keyId);
}
