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
    expect(await bucket.slotNames()).toEqual({
      slots: new Set(['cc'.repeat(16)]),
      removals: new Set(['dd'.repeat(16)]),
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

  it('keeps segments in order and never replaces one', async () => {
    const store = createMemoryObjectStore();
    const bucket = openBucketVault(store, vault);
    const segment = (incarnation: number, firstSeq: number, lastSeq: number) => ({
      agent: life.agent,
      incarnation,
      firstSeq,
      lastSeq,
    });
    await bucket.putSegment(segment(2, 17, 300), Buffer.from('c'));
    await bucket.putSegment(segment(1, 16, 16), Buffer.from('b'));
    await bucket.putSegment(segment(1, 1, 15), Buffer.from('a'));
    expect((await bucket.segments(life.agent)).map(({ firstSeq }) => firstSeq)).toEqual([1, 16, 17]);
    expect(await bucket.segments('cc'.repeat(16))).toEqual([]);
    expect(await bucket.putSegment(segment(1, 1, 15), Buffer.from('a'))).toBe(false);
    await expect(bucket.putSegment(segment(1, 1, 15), Buffer.from('x'))).rejects.toMatchObject({
      code: 'E_FORK',
      exitCode: 9,
    });
    expect(Buffer.from(await bucket.getSegment(segment(1, 1, 15))).toString()).toBe('a');
    await expect(bucket.getSegment(segment(1, 2, 15))).rejects.toMatchObject({ code: 'E_INTEGRITY' });
  });

  it('does not read a huge object as a slot', async () => {
    const store = createMemoryObjectStore();
    await store.put(`${vault}/slots/${'cc'.repeat(16)}.slot`, new Uint8Array(2_000_000));
    expect(await openBucketVault(store, vault).slots()).toEqual([]);
    await store.put(vaultKeyOf(vault), Buffer.from('d'));
    expect(await findVaults(store)).toEqual([vault]);
  });
});
