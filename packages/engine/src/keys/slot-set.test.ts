import { expect, test } from 'vitest';
import { EdgeError } from '../core/errors.ts';
import type { Slot } from './slot.ts';
import {
  acceptsRemoval,
  acceptsSlot,
  type KnownRemoval,
  type KnownSlot,
  publishedSlots,
  SHARED_SLOTS_MAX,
  SLOT_REMOVALS_MAX,
} from './slot-set.ts';

const slot = (id: string, change: Partial<Slot> = {}, text = ''): KnownSlot => ({
  slot: { slotId: id, type: 'passphrase', scope: 'shared', number: 1, ...change } as Slot,
  bytes: Buffer.from(`${id} ${JSON.stringify(change)} ${text}`),
});
const removal = (slotId: string): KnownRemoval => ({
  removal: { vaultId: '', slotId, timeS: 0 },
  bytes: Buffer.from(slotId),
});
const setOf = (slots: readonly KnownSlot[], removals: readonly KnownRemoval[] = []) => ({
  slots: new Map(slots.map((one) => [one.slot.slotId, one])),
  removals: new Map(removals.map((one) => [one.removal.slotId, one])),
});
function codeOf(run: () => unknown): string | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof EdgeError) return error.code;
    throw error;
  }
  return undefined;
}

test('a version with a lower number never replaces one with a higher', () => {
  const here = setOf([slot('a', { number: 3 })]);
  expect([2, 3, 4].map((number) => acceptsSlot(here, slot('a', { number })))).toEqual([false, false, true]);
  expect(codeOf(() => acceptsSlot(here, slot('a', { number: 3 }, 'another')))).toBe('E_FORK');
});

test('a removed slot comes back in no version, and is not given to others', () => {
  const here = setOf([slot('a'), slot('b')], [removal('a')]);
  expect(acceptsSlot(here, slot('a', { number: 99 }))).toBe(false);
  expect(publishedSlots(here).map((one) => one.slot.slotId)).toEqual(['b']);
  expect(acceptsRemoval(here, removal('a'))).toBe(false);
});

test('the recovery slot is not removed: without it a lost disk cannot be recovered', () => {
  const here = setOf([], [removal('a')]);
  expect(acceptsSlot(here, slot('a', { type: 'recovery' }))).toBe(true);
  expect(publishedSlots(setOf([slot('a', { type: 'recovery' })], [removal('a')])).length).toBe(1);
});

test('slots and marks are bounded; a full set still takes newer versions of its own', () => {
  const full = Array.from({ length: SHARED_SLOTS_MAX }, (_, at) => slot(`${at}`));
  const local = slot('local', { scope: 'local' });
  expect(codeOf(() => acceptsSlot(setOf([...full, local]), slot('one more')))).toBe('E_LIMIT');
  expect(acceptsSlot(setOf(full), slot('3', { number: 2 }))).toBe(true);
  expect(acceptsSlot(setOf([...full.slice(1), local]), slot('one more'))).toBe(true);
  const marks = Array.from({ length: SLOT_REMOVALS_MAX }, (_, at) => removal(`${at}`));
  expect(codeOf(() => acceptsRemoval(setOf([], marks), removal('one more')))).toBe('E_LIMIT');
});

test('a local slot is not given to others', () => {
  expect(publishedSlots(setOf([slot('a', { scope: 'local' })]))).toEqual([]);
});
