/** Descriptors of one vault in several epochs, for tests. */
import { createHash } from 'node:crypto';
import type { Sodium } from '../codec/sodium.ts';
import type { VaultId } from '../core/ids.ts';
import type { VerifiedDescriptor } from '../keys/descriptor-succession.ts';
import { publicKeyOf } from '../keys/ed25519.ts';
import { wrapGeneration } from '../keys/key-generation.ts';
import { recoveryProofPublicKey } from '../keys/recovery-proof.ts';
import { encodeVaultDescriptor, type VaultDescriptor } from '../keys/vault-descriptor.ts';
import { deriveBaseKeys } from '../keys/vault-keys.ts';
import { createSeededRandom } from './seeded-random.ts';

/** A descriptor with as many generations as its epoch says; `before` makes it follow that one. */
export function fixtureDescriptor(
  sodium: Sodium,
  vault: { readonly vaultId: VaultId; readonly vaultKey: Uint8Array; readonly adminSeed: Uint8Array },
  before?: VerifiedDescriptor,
  change: Partial<VaultDescriptor> = {},
): VerifiedDescriptor {
  const base = deriveBaseKeys(sodium, vault.vaultId, vault.vaultKey);
  const epoch = (before?.descriptor.epoch ?? 0) + 1;
  const random = createSeededRandom(`generation ${epoch}`);
  const row = {
    keyId: epoch,
    createdNs: BigInt(epoch),
    wrapped: wrapGeneration(sodium, base, { keyId: epoch, secret: random(32) }, random),
  };
  const descriptor: VaultDescriptor = {
    vaultId: vault.vaultId,
    formatVersion: 1,
    criticalFeatures: [],
    chunker: { name: 'fastcdc-1', min: 131_072, avg: 524_288, max: 2_097_152 },
    keyTable: [...(before?.descriptor.keyTable ?? []), row],
    adminPublicKey: publicKeyOf(sodium, vault.adminSeed),
    proofPublicKey: recoveryProofPublicKey(sodium, base),
    epoch,
    previous: before === undefined ? undefined : createHash('sha256').update(before.bytes).digest(),
    ...change,
  };
  const bytes = encodeVaultDescriptor(sodium, descriptor, { macKey: base.macKey, adminSeed: vault.adminSeed });
  return { descriptor, bytes };
}
