/** What to make of a file of the vault that lies in a bucket: learn from it, leave it, or replace it. */
import { bytesEqual, type EdgeError, isEdgeError, type ReportWarning, type VaultFileKind } from '@edgestore/engine';
import type { CardStore } from './card-store.ts';
import type { DescriptorMemory } from './descriptor-memory.ts';
import type { SlotStore } from './slot-store.ts';

export interface JudgeDeps {
  readonly descriptors: DescriptorMemory;
  readonly slots: SlotStore;
  readonly cards: CardStore;
  readonly warn: ReportWarning;
}

/**
 * Answers true when the stored bytes may be replaced: they are older than what is here, or the admin key did not sign them. A file that is newer is
 * taken here first. One that contradicts, or that a newer program wrote, is told and left where it is.
 */
export function judgeVaultFiles(
  deps: JudgeDeps,
): (kind: VaultFileKind, stored: Uint8Array, where: string) => Promise<boolean> {
  const { descriptors, slots, cards, warn } = deps;
  return async (kind, stored, where) => {
    const refused = await learn(kind, stored, where);
    if (refused === undefined) return !isHere(kind, stored);
    warn({ code: 'W_VAULT_FILE_REFUSED', message: `${where}, ${kind}: ${refused.message}` });
    return isEdgeError(refused, 'E_INTEGRITY', 'E_FORMAT', 'E_DENIED');
  };

  async function learn(kind: VaultFileKind, stored: Uint8Array, where: string): Promise<EdgeError | undefined> {
    if (kind === 'slot') return (await slots.learn({ slots: [stored] }))[0];
    if (kind === 'removal') return (await slots.learn({ removals: [stored] }))[0];
    if (kind === 'card') return (await cards.learn([stored])).refused[0];
    try {
      await descriptors.learn(stored, where);
      return undefined;
    } catch (error) {
      if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT', 'E_NEWER_FORMAT', 'E_FORK')) throw error;
      return error;
    }
  }

  /** Whether exactly these bytes count here now. Any mark of a removed slot is as good as another. */
  function isHere(kind: VaultFileKind, stored: Uint8Array): boolean {
    if (kind === 'descriptor') return bytesEqual(descriptors.current().bytes, stored);
    if (kind === 'removal') return true;
    const known = kind === 'slot' ? slots.published() : cards.all();
    return known.some(({ bytes }) => bytesEqual(bytes, stored));
  }
}
