/** The secret of a key generation, wrapped for those who have the vault key. See docs/formats/vault.md. */
import type { Sodium } from '../codec/sodium.ts';
import { decrypt, encrypt } from '../codec/xchacha20poly1305.ts';
import { ByteWriter } from '../core/bytes.ts';
import type { RandomBytes } from '../core/clock.ts';
import { EdgeError } from '../core/errors.ts';
import { fromHex } from '../core/ids.ts';
import { GENERATION_SECRET_BYTES, type GenerationSecret, type VaultBaseKeys } from './vault-keys.ts';

/** Nonce 24, sealed secret 48. */
export const WRAPPED_SECRET_BYTES = 72;

/** The secret as the key table holds it. It is bound to vault and key id, so that no row passes for another one. */
export function wrapGeneration(
  sodium: Sodium,
  keys: Pick<VaultBaseKeys, 'vaultId' | 'generationWrapKey'>,
  { keyId, secret }: GenerationSecret,
  random: RandomBytes,
): Uint8Array {
  if (secret.length !== GENERATION_SECRET_BYTES)
    throw new EdgeError('E_FORMAT', `the secret of a key generation has ${GENERATION_SECRET_BYTES} bytes`);
  const nonce = random(24);
  const sealed = encrypt(sodium, secret, associatedData(keys.vaultId, keyId), nonce, keys.generationWrapKey);
  return new Uint8Array(Buffer.concat([nonce, sealed]));
}

/** E_INTEGRITY when it was altered, or wrapped for another vault, key or id. */
export function unwrapGeneration(
  sodium: Sodium,
  keys: Pick<VaultBaseKeys, 'vaultId' | 'generationWrapKey'>,
  keyId: number,
  wrapped: Uint8Array,
): GenerationSecret {
  const secret = decrypt(
    sodium,
    wrapped.subarray(24),
    associatedData(keys.vaultId, keyId),
    wrapped.subarray(0, 24),
    keys.generationWrapKey,
  );
  if (secret === undefined)
    throw new EdgeError('E_INTEGRITY', `the secret of key generation ${keyId} does not open with the vault key`);
  return { keyId, secret };
}

function associatedData(vaultId: string, keyId: number): Uint8Array {
  return new ByteWriter()
    .bytes(Buffer.from('edgestore generation v1\0', 'latin1'))
    .bytes(fromHex(vaultId, 16))
    .u32(keyId)
    .finish();
}
