/** Every key of a vault, as one plain object that can be posted to worker threads. */
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

/** The random secret of one generation, 32 bytes, as the key table of the descriptor wraps it. */
export interface GenerationSecret {
  readonly keyId: number;
  readonly secret: Uint8Array;
}

/** What follows from the vault key alone, without the key table. All byte fields are 32 bytes. */
export interface VaultBaseKeys {
  readonly vaultId: VaultId;
  /** Keys chunk ids; the same for ever, or nothing would deduplicate. */
  readonly idKey: Uint8Array;
  /** Seeds the chunker's gear table; the same for ever, for the same reason. */
  readonly chunkerSecret: Uint8Array;
  /** Keys the MAC of the vault descriptor. */
  readonly macKey: Uint8Array;
  /** Wraps the admin seed where an agent keeps it. */
  readonly adminWrapKey: Uint8Array;
  /** Wraps the secret of each key generation in the key table. */
  readonly generationWrapKey: Uint8Array;
  /** Ed25519 seed with which a recovering machine proves to a peer that it has the vault key. */
  readonly proofSeed: Uint8Array;
}

/** Structured-clonable; never logged. */
export interface VaultKeys extends VaultBaseKeys {
  /** The generation that new chunks and records are sealed with. */
  readonly currentKeyId: number;
  readonly generations: readonly KeyGeneration[];
}

export const VAULT_KEY_BYTES = 32;
export const GENERATION_SECRET_BYTES = 32;
/** Bounds the key table that a descriptor may carry, and so the derivations that it may ask for. */
export const KEY_GENERATIONS_MAX = 64;
export const FIRST_KEY_ID = 1;

/**
 * Derives what needs no key table, with `crypto_kdf_derive_from_key` (docs/formats/keys.md).
 *
 * @param vaultKey 32 bytes
 */
export function deriveBaseKeys(sodium: Sodium, vaultId: VaultId, vaultKey: Uint8Array): VaultBaseKeys {
  if (vaultKey.length !== VAULT_KEY_BYTES) throw new EdgeError('E_WRONG_KEY', 'a vault key has 32 bytes');
  const derive = (context: string): Uint8Array => sodium.crypto_kdf_derive_from_key(32, 1, context, vaultKey);
  return {
    vaultId,
    idKey: derive('edge-id_'),
    chunkerSecret: derive('edgegear'),
    macKey: derive('edgemac_'),
    adminWrapKey: derive('edgeadmn'),
    generationWrapKey: derive('edgewrap'),
    proofSeed: derive('edgeprof'),
  };
}

/** Adds the keys of each generation, from its own secret. The largest id is current. */
export function deriveVaultKeys(
  sodium: Sodium,
  base: VaultBaseKeys,
  generations: readonly GenerationSecret[],
): VaultKeys {
  if (generations.length === 0 || generations.length > KEY_GENERATIONS_MAX) {
    throw new EdgeError(
      'E_FORMAT',
      `a key table has 1 to ${KEY_GENERATIONS_MAX} generations, not ${generations.length}`,
    );
  }
  return {
    ...base,
    currentKeyId: Math.max(...generations.map(({ keyId }) => keyId)),
    generations: generations.map(({ keyId, secret }) => {
      if (secret.length !== GENERATION_SECRET_BYTES)
        throw new EdgeError('E_FORMAT', `the secret of a key generation has ${GENERATION_SECRET_BYTES} bytes`);
      const derive = (context: string): Uint8Array => sodium.crypto_kdf_derive_from_key(32, keyId, context, secret);
      return {
        keyId,
        sealingKey: derive('edgeseal'),
        nonceKey: derive('edgenonc'),
        recordKey: derive('edgelog_'),
      };
    }),
  };
}

/** The keys of one generation, or undefined when the key table does not name it. */
export function generationOf(keys: VaultKeys, keyId: number): KeyGeneration | undefined {
  return keys.generations.find((generation) => generation.keyId === keyId);
}
