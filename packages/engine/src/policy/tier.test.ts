import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ageOf, DEFAULT_TIER_AGES, tierOf } from './tier.ts';

const DAY = 86_400_000_000_000n;

test('tiers by age: 30 and 90 days by default', () => {
  expect([0n, 29n, 30n, 89n, 90n, 10_000n].map((days) => tierOf(days * DAY, DEFAULT_TIER_AGES))).toEqual([
    'hot',
    'hot',
    'warm',
    'warm',
    'cold',
    'cold',
  ]);
  expect(tierOf(0n, { hotNs: 0n, warmNs: 0n })).toBe('cold');
});

test('an age is never below zero, and each newer fact makes it younger', () => {
  const time = fc.option(fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }), { nil: undefined });
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 2n ** 63n }),
      time,
      time,
      time,
      (nowNs, mtimeNs, firstStoredNs, lastReadNs) => {
        const age = ageOf({ nowNs, mtimeNs, firstStoredNs, lastReadNs });
        expect(age).toBeGreaterThanOrEqual(0n);
        if (mtimeNs !== undefined) expect(age).toBeLessThanOrEqual(ageOf({ nowNs, mtimeNs }));
      },
    ),
  );
  expect(ageOf({ nowNs: 10n })).toBe(0n);
  expect(ageOf({ nowNs: 10n, mtimeNs: 3n, firstStoredNs: 5n })).toBe(5n);
});
