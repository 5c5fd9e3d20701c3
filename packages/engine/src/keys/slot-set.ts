/** Which key slots and removal marks a store keeps: the rules of merging, without files. See docs/formats/keys.md. */
import { bytesEqual } from '../core/bytes.ts';
import { EdgeError } from '../core/errors.ts';
import type { Slot } from './slot.ts';
import type { SlotRemoval } from './slot-removal.ts';

export interface KnownSlot {
  readonly slot: Slot;
  readonly bytes: Uint8Array;
}

export interface KnownRemoval {
  readonly removal: SlotRemoval;
  readonly bytes: Uint8Array;
}

/** All of them verified. */
export interface SlotSet {
  readonly slots: ReadonlyMap<string, KnownSlot>;
  readonly removals: ReadonlyMap<string, KnownRemoval>;
}

/** Shared slots of a vault: people and sheets, not machines. Only the admin key makes more. */
export const SHARED_SLOTS_MAX = 64;
/** Slots of one data dir that are not shared. */
export const LOCAL_SLOTS_MAX = 16;
/** Removal marks of a vault. Each is an act of a person and stays for ever. */
export const SLOT_REMOVALS_MAX = 4096;

/**
 * Whether to keep the slot that came, beside or instead of the one here.
 *
 * @throws E_FORK for two different versions of one number, E_LIMIT when the set is full
 */
export function acceptsSlot({ slots, removals }: SlotSet, { slot, bytes }: KnownSlot): boolean {
  const here = slots.get(slot.slotId);
  // A mark counts for every version of its slot, so that no copy from anywhere undoes it. The recovery slot cannot be removed.
  if (removals.has(slot.slotId) && slot.type !== 'recovery') return false;
  if (here === undefined) {
    checkRoom(slots);
    return true;
  }
  if (slot.number !== here.slot.number) return slot.number > here.slot.number;
  if (bytesEqual(bytes, here.bytes)) return false;
  throw new EdgeError(
    'E_FORK',
    `two different versions ${slot.number} of key slot ${slot.slotId.slice(0, 8)} are signed`,
    {
      hint: 'The version that was seen first counts.',
      context: { slot: slot.slotId },
    },
  );
}

/** Whether to keep the mark. E_LIMIT when there are too many. */
export function acceptsRemoval({ removals }: SlotSet, { removal }: KnownRemoval): boolean {
  // Any mark of the slot is as good as another.
  if (removals.has(removal.slotId)) return false;
  if (removals.size >= SLOT_REMOVALS_MAX)
    throw new EdgeError('E_LIMIT', `a vault has at most ${SLOT_REMOVALS_MAX} removed key slots`);
  return true;
}

/** What others may have: shared slots that no mark names. The recovery slot is always among them. */
export function publishedSlots({ slots, removals }: SlotSet): KnownSlot[] {
  return [...slots.values()]
    .filter(({ slot }) => slot.scope === 'shared' && (slot.type === 'recovery' || !removals.has(slot.slotId)))
    .sort((a, b) => (a.slot.slotId < b.slot.slotId ? -1 : 1));
}

function checkRoom(slots: SlotSet['slots']): void {
  const shared = [...slots.values()].filter(({ slot }) => slot.scope === 'shared').length;
  if (shared < SHARED_SLOTS_MAX) return;
  throw new EdgeError('E_LIMIT', `a vault has at most ${SHARED_SLOTS_MAX} key slots`, {
    hint: 'Remove one first: edgestore key remove.',
  });
}
