/** Keys of a vault for tests that need no descriptor. */
import type { Sodium } from '../codec/sodium.ts';
import type { VaultId } from '../core/ids.ts';
import { deriveBaseKeys, deriveVaultKeys, type VaultKeys } from '../keys/vault-keys.ts';

/** The secret of each generation is the vault key itself, so that tests which compute keys in Python need one secret only. No vault does so. */
export function fixtureVaultKeys(
  sodium: Sodium,
  vaultId: VaultId,
  vaultKey: Uint8Array,
  keyIds: readonly number[] = [1],
): VaultKeys {
  const generations = keyIds.map((keyId) => ({ keyId, secret: vaultKey }));
  return deriveVaultKeys(sodium, deriveBaseKeys(sodium, vaultId, vaultKey), generations);
}
