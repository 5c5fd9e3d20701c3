import { expect, it } from 'vitest';
import { key48 } from '../index/key48.ts';
import { ageKeyOf, createAgeTable } from './age-table.ts';
import type { TierPolicy } from './demote-types.ts';

const policy = (warmNs: bigint): TierPolicy => ({
  name: 'p',
  hotNs: 0n,
  warmNs,
  cold: 'archive',
  match: [],
  pin: [],
  copies: 1,
  sites: 1,
});

it('keeps the youngest age and the strictest policy of each chunk, in the order in which they came', () => {
  const table = createAgeTable();
  const [short, long] = [policy(1n), policy(2n)];
  for (let key = 0; key < 10_000; key++) table.add(key * 0x1000001, BigInt(key) * 1_000_000n, short);
  table.add(5 * 0x1000001, 7_000_001n, long);
  table.add(6 * 0x1000001, 1n, undefined);
  expect(table.count()).toBe(10_000);
  expect(table.at(5)).toEqual({ key: 5 * 0x1000001, mtimeNs: 8_000_000n, policy: long });
  expect(table.find(6 * 0x1000001)).toEqual({ key: 6 * 0x1000001, mtimeNs: 6_000_000n, policy: undefined });
  expect(table.find(1)).toBeUndefined();
});

it('finds chunks by the same 48 bits as the index', () => {
  const id = Uint8Array.from({ length: 32 }, (_, i) => 250 - i);
  expect(ageKeyOf(id)).toBe(key48(id));
});

it('takes under 40 bytes a chunk', () => {
  const before = process.memoryUsage().arrayBuffers;
  const table = createAgeTable();
  const chunks = 2_000_000;
  for (let i = 0; i < chunks; i++) table.add((i * 2_654_435_761) % 2 ** 48, 0n, undefined);
  expect(table.count()).toBe(chunks);
  expect((process.memoryUsage().arrayBuffers - before) / chunks).toBeLessThan(40);
});
