/** What members tell each other of the vault besides cards: descriptor, key slots and removal marks. */
import { createHash } from 'node:crypto';
import { type EdgeError, isEdgeError } from '@edgestore/engine';
import type { SharedFiles } from '../http/hello.ts';
import type { DescriptorMemory } from './descriptor-memory.ts';
import type { SlotStore } from './slot-store.ts';

export interface VaultSharing {
  /** Changes with anything that others should hear of. */
  digest(): string;
  shown(): Partial<SharedFiles>;
  /** Takes what verifies and is newer; returns why the rest was refused. */
  heard(shown: Partial<SharedFiles>, where: string): Promise<readonly EdgeError[]>;
}

export function createVaultSharing(descriptors: DescriptorMemory, slots: SlotStore): VaultSharing {
  return {
    digest: () => createHash('sha256').update(descriptors.current().bytes).update(slots.digest()).digest('hex'),
    shown: () => ({
      descriptor: descriptors.current().bytes,
      slots: slots.published().map(({ bytes }) => bytes),
      removals: slots.removals().map(({ bytes }) => bytes),
    }),
    async heard({ descriptor, slots: theirs, removals }, where) {
      const refused: EdgeError[] = [];
      if (descriptor !== undefined) {
        try {
          await descriptors.learn(descriptor, where);
        } catch (error) {
          if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT', 'E_NEWER_FORMAT', 'E_FORK')) throw error;
          refused.push(error);
        }
      }
      const found = { slots: theirs ?? [], removals: removals ?? [] };
      return [...refused, ...(await slots.learn(found))];
    },
  };
}

/** For a roster that only asks: it shows no files and takes none. */
export const NOTHING_SHARED: VaultSharing = { digest: () => '', shown: () => ({}), heard: async () => [] };
