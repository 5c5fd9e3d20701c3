/** The newest descriptor of the vault that this agent has seen, from whoever has it. */
import {
  adoptDescriptor,
  compareDescriptors,
  type Engine,
  openVaultDescriptor,
  type ReportWarning,
  type VerifiedDescriptor,
} from '@edgestore/engine';
import { createTurns } from '../work/turns.ts';

export interface DescriptorMemory {
  current(): VerifiedDescriptor;
  /**
   * Takes a newer descriptor: verified, durable, and given to others from now on. Its key generations are used from the next start on.
   *
   * @param where names its source in errors
   * @returns how it compares with the one that was here
   * @throws E_INTEGRITY, E_FORMAT, E_NEWER_FORMAT; E_FORK when it contradicts the one here
   */
  learn(bytes: Uint8Array, where: string): Promise<'newer' | 'same' | 'older'>;
}

export function openDescriptorMemory(
  engine: Pick<Engine, 'vault' | 'vaultBytes' | 'dataDir' | 'sodium' | 'keys'>,
  vaultKey: Uint8Array,
  deps: { readonly warn: ReportWarning },
): DescriptorMemory {
  const { sodium, dataDir, keys, vault } = engine;
  let current: VerifiedDescriptor = { descriptor: vault, bytes: engine.vaultBytes };
  const turns = createTurns();

  async function learn(bytes: Uint8Array, where: string): Promise<'newer' | 'same' | 'older'> {
    if (Buffer.compare(bytes, current.bytes) === 0) return 'same';
    const { descriptor } = openVaultDescriptor(sodium, bytes, vaultKey, vault.adminPublicKey);
    const found = { descriptor, bytes: Uint8Array.from(bytes) };
    const relation = compareDescriptors(current, found, where);
    if (relation !== 'newer') return relation;
    await adoptDescriptor(dataDir, keys, found, sodium);
    current = found;
    if (descriptor.keyTable.length > vault.keyTable.length) {
      deps.warn({
        code: 'W_NEW_KEY_GENERATION',
        message: `${where} has epoch ${descriptor.epoch} of the vault with a new key generation; restart the agent to use it`,
      });
    }
    return relation;
  }

  return { current: () => current, learn: (bytes, where) => turns.run('learn', () => learn(bytes, where)) };
}
