import { describe, expect, it } from 'vitest';
import { createMemoryObjectStore } from '../objects/memory.ts';
import { vaultKeyOf } from './bucket-layout.ts';
import { findVaults, openBucketVault } from './bucket-vault.ts';

const vault = 'aa'.repeat(16);
const life = { agent: 'bb'.repeat(16), incarnation: 2 };

describe('the vault in a bucket', () => {
  it('gives back descriptor, slots and cards, and writes only what is new', async () => {
    const store = createMemoryObjectStore();
    const bucket = openBucketVault(store, vault);
    expect(await bucket.descriptor()).toBeUndefined();
    expect(await bucket.putDescriptor(Buffer.from('d'))).toBe(true);
    expect(await bucket.putDescriptor(Buffer.from('d'))).toBe(false);
    expect(await bucket.putDescriptor(Buffer.from('e'))).toBe(true);
    await bucket.putSlot('cc'.repeat(16), Buffer.from('slot'));
    await bucket.putSlot('dd'.repeat(16), Buffer.from('slot 2'));
    await bucket.putSlotRemoval('dd'.repeat(16), Buffer.from('mark'));
    await bucket.putCard(life, Buffer.from('card'));
    await store.put(`${vault}/slots/readme`, Buffer.from('foreign'));
    expect((await bucket.slots()).map(({ slotId }) => slotId)).toEqual(['cc'.repeat(16)]);
    expect(await bucket.cards()).toEqual([{ ...life, bytes: new Uint8Array(Buffer.from('card')) }]);
    expect((await bucket.slotRemovals()).map(({ slotId }) => slotId)).toEqual(['dd'.repeat(16)]);
    expect(Object.fromEntries(await bucket.vaultFiles())).toEqual({
      descriptor: 1,
      [`slot ${'cc'.repeat(16)}`]: 4,
      [`slot-removal ${'dd'.repeat(16)}`]: 4,
      [`card ${life.agent}-2`]: 4,
    });
    expect(await findVaults(store)).toEqual([vault]);
  });

  it('replaces other bytes only when the caller says so of them', async () => {
    const bucket = openBucketVault(createMemoryObjectStore(), vault);
    await bucket.putCard(life, Buffer.from('newer'));
    const asked: string[] = [];
    const mayReplace = (answer: boolean) => async (stored: Uint8Array) => {
      asked.push(Buffer.from(stored).toString());
      return answer;
    };
    expect(await bucket.putCard(life, Buffer.from('older'), undefined, mayReplace(false))).toBe(false);
    expect(await bucket.putCard(life, Buffer.from('newer'), undefined, mayReplace(false))).toBe(false);
    expect(await bucket.putCard(life, Buffer.from('newest'), undefined, mayReplace(true))).toBe(true);
    expect(asked).toEqual(['newer', 'newer']);
    expect((await bucket.cards()).map(({ bytes }) => Buffer.from(bytes).toString())).toEqual(['newest']);
  });

  it('lists segments by incarnation and last seq, from any place on', async () => {
    const store = createMemoryObjectStore();
    const bucket = openBucketVault(store, vault);
    const segment = (incarnation: number, first: number, last: number) => ({
      agent: life.agent,
      incarnation,
      first,
      last,
      sha256: 'ab'.repeat(8),
    });
    const all = [segment(1, 1, 15), segment(1, 16, 16), segment(1, 2, 40), segment(2, 17, 300)];
    for (const one of [...all].reverse()) await bucket.putSegment(one, Buffer.from(`${one.first}`));
    const seqs = async (from?: { incarnation: number; seq: number }) => {
      const found: number[] = [];
      const listing = bucket.segments(life.agent, from === undefined ? {} : { from });
      for await (const { last } of listing) found.push(last);
      return found;
    };
    expect(await seqs()).toEqual([15, 16, 40, 300]);
    expect(await seqs({ incarnation: 1, seq: 16 })).toEqual([16, 40, 300]);
    expect(await seqs({ incarnation: 2, seq: 1 })).toEqual([300]);
    expect(Buffer.from(await bucket.getSegment(all[2]!)).toString()).toBe('2');
    await expect(bucket.getSegment(segment(1, 3, 15))).rejects.toMatchObject({ code: 'E_INTEGRITY' });
  });

  it('does not count a segment that the store did not keep as it was put', async () => {
    const store = createMemoryObjectStore();
    const lying = { ...store, put: async (key: string) => store.put(key, Buffer.from('other')) };
    const one = { agent: life.agent, incarnation: 1, first: 1, last: 2, sha256: 'ab'.repeat(8) };
    await expect(openBucketVault(lying, vault).putSegment(one, Buffer.from('entry'))).rejects.toMatchObject({
      code: 'E_INTEGRITY',
    });
  });

  it('does not read a huge object as a slot', async () => {
    const store = createMemoryObjectStore();
    await store.put(`${vault}/slots/${'cc'.repeat(16)}.slot`, new Uint8Array(2_000_000));
    expect(await openBucketVault(store, vault).slots()).toEqual([]);
    await store.put(vaultKeyOf(vault), Buffer.from('d'));
    expect(await findVaults(store)).toEqual([vault]);
  });
});
