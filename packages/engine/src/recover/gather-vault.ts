/** Reads the vault's clear files from every source and keeps what the recovery sheet vouches for. */
import type { Sodium } from '../codec/sodium.ts';
import { bytesEqual } from '../core/bytes.ts';
import { EdgeError, isEdgeError, toEdgeError } from '../core/errors.ts';
import type { RecoverySource } from '../core/ports/peer.ts';
import type { ReportWarning } from '../core/ports/progress.ts';
import { requireSameLog, verifyCard } from '../keys/card.ts';
import { compareDescriptors, type VerifiedDescriptor } from '../keys/descriptor-succession.ts';
import { publicKeyOf } from '../keys/ed25519.ts';
import { verifySlot } from '../keys/slot.ts';
import { verifySlotRemoval } from '../keys/slot-removal.ts';
import { acceptsRemoval, acceptsSlot, type KnownRemoval, type KnownSlot, publishedSlots } from '../keys/slot-set.ts';
import { openVaultDescriptor, readVaultDescriptor, type VaultDescriptor } from '../keys/vault-descriptor.ts';
import type { VaultKeys } from '../keys/vault-keys.ts';
import type { RecoverInput, VerifiedCard } from './recover-types.ts';

export interface GatheredVault {
  readonly descriptor: VaultDescriptor;
  readonly descriptorBytes: Uint8Array;
  readonly keys: VaultKeys;
  /** Signed slots that no mark names, the newest version of each. */
  readonly slots: readonly { readonly slotId: string; readonly bytes: Uint8Array }[];
  readonly slotRemovals: readonly { readonly slotId: string; readonly bytes: Uint8Array }[];
  /** The newest of each life of each agent. */
  readonly cards: readonly VerifiedCard[];
  /** Those that gave a descriptor of this vault. */
  readonly sources: readonly RecoverySource[];
}

/** Warnings of one list: whoever can write to a source can plant files without end, which must neither hide a good one nor fill the screen. */
const REFUSED_TOLD_MAX = 16;

/**
 * E_WRONG_KEY when the sheet is of another vault than the source; the first source's own error when none could be read. A descriptor that does not
 * verify under the sheet's keys is not used.
 */
export async function gatherVault(
  input: RecoverInput,
  deps: { readonly sodium: Sodium; readonly warn: ReportWarning },
  signal?: AbortSignal,
): Promise<GatheredVault> {
  const { sodium, warn } = deps;
  const adminPublicKey = publicKeyOf(sodium, input.adminSeed);
  const problems: EdgeError[] = [];
  let best: { readonly descriptor: VaultDescriptor; readonly keys: VaultKeys; readonly bytes: Uint8Array } | undefined;
  const sources: RecoverySource[] = [];
  const slots = new Map<string, KnownSlot>();
  const removals = new Map<string, KnownRemoval>();
  const cards = new Map<string, VerifiedCard>();

  for (const source of input.sources) {
    try {
      const bytes = await source.vaultDescriptor(signal);
      const found = { ...openUnderSheet(bytes, source), bytes };
      if (best === undefined || isNewer(best, found, source)) best = found;
      await gatherSlots(source);
      await gatherCards(source);
      sources.push(source);
    } catch (error) {
      signal?.throwIfAborted();
      const problem = toEdgeError(error, source.label);
      problems.push(problem);
      if (input.sources.length > 1)
        warn({ code: problem.code, message: `${source.label} could not be used: ${problem.message}` });
    }
  }

  function openUnderSheet(bytes: Uint8Array, source: RecoverySource): ReturnType<typeof openVaultDescriptor> {
    try {
      return openVaultDescriptor(sodium, bytes, input.vaultKey, adminPublicKey);
    } catch (error) {
      // Nothing of it counts; whether it is whole decides what to say.
      if (isEdgeError(error, 'E_INTEGRITY') && isOfOtherVault(sodium, bytes, adminPublicKey)) throw otherVault(source);
      throw error;
    }
  }

  /** A source that is behind, or that contradicts the others, still has chunks, cards and records: it is told, and used. */
  function isNewer(here: VerifiedDescriptor, found: VerifiedDescriptor, { label }: RecoverySource): boolean {
    if (here.descriptor.vaultId !== found.descriptor.vaultId)
      throw new EdgeError('E_WRONG_KEY', `${label} has another vault than the other sources`);
    try {
      return compareDescriptors(here, found, label) === 'newer';
    } catch (error) {
      if (!isEdgeError(error, 'E_FORK')) throw error;
      warn({ code: 'descriptor-fork', message: error.message });
      return false;
    }
  }

  async function gatherSlots(source: RecoverySource): Promise<void> {
    const id = vaultId();
    await eachOf(await source.slotRemovals(signal), source, 'slot-damaged', (bytes) => {
      const one = { removal: verifySlotRemoval(sodium, bytes, adminPublicKey, id), bytes };
      if (acceptsRemoval({ slots, removals }, one)) removals.set(one.removal.slotId, one);
    });
    await eachOf(await source.slots(signal), source, 'slot-damaged', (bytes) => {
      const one = { slot: verifySlot(sodium, bytes, adminPublicKey, id), bytes };
      if (acceptsSlot({ slots, removals }, one)) slots.set(one.slot.slotId, one);
    });
  }

  /** What is refused is told and stops no other. */
  async function eachOf(
    list: readonly Uint8Array[],
    source: RecoverySource,
    code: string,
    take: (bytes: Uint8Array) => void,
  ): Promise<void> {
    let refused = 0;
    for (const bytes of list) {
      try {
        take(bytes);
      } catch (error) {
        if (!isEdgeError(error, 'E_INTEGRITY', 'E_DENIED', 'E_FORK', 'E_LIMIT', 'E_FORMAT', 'E_NEWER_FORMAT'))
          throw error;
        refused += 1;
        if (refused <= REFUSED_TOLD_MAX) warn({ code, message: `${source.label}: ${error.message}` });
      }
    }
  }

  function vaultId(): string {
    return best?.keys.vaultId ?? '';
  }

  async function gatherCards(source: RecoverySource): Promise<void> {
    await eachOf(await source.cards(signal), source, 'card-refused', (bytes) => {
      const card = verifyCard(sodium, bytes, adminPublicKey);
      if (card.vaultId !== vaultId()) return;
      const life = `${card.agentId}-${card.incarnation}`;
      const first = cards.get(life)?.card;
      if (first !== undefined) requireSameLog(first, card);
      if ((first?.number ?? -1) < card.number) cards.set(life, { card, bytes });
    });
  }

  if (best === undefined) {
    throw problems[0] ?? new EdgeError('E_USAGE', 'recover needs at least one source (--from)');
  }
  return {
    descriptor: best.descriptor,
    descriptorBytes: best.bytes,
    keys: best.keys,
    slots: publishedSlots({ slots, removals }).map(({ slot, bytes }) => ({ slotId: slot.slotId, bytes })),
    slotRemovals: [...removals.values()].map(({ removal, bytes }) => ({ slotId: removal.slotId, bytes })),
    cards: [...cards.values()],
    sources,
  };
}

function isOfOtherVault(sodium: Sodium, bytes: Uint8Array, adminPublicKey: Uint8Array): boolean {
  try {
    return !bytesEqual(readVaultDescriptor(sodium, bytes).adminPublicKey, adminPublicKey);
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT', 'E_NEWER_FORMAT')) throw error;
    return false;
  }
}

function otherVault(source: RecoverySource): EdgeError {
  return new EdgeError('E_WRONG_KEY', `the recovery sheet is not of the vault at ${source.label}`, {
    hint: 'Use the sheet that `edgestore init` gave for this vault.',
    context: { source: source.label },
  });
}

/** For messages: the names of agents with the first digits of their ids. */
export function describeCards(cards: readonly VerifiedCard[]): string {
  const names = new Map(cards.map(({ card }) => [card.agentId, card.name]));
  return [...names].map(([agent, name]) => `${name} (${agent.slice(0, 8)})`).join(', ');
}
