import fc from 'fast-check';
import { expect, test } from 'vitest';
import { padme } from './padme.ts';

test('known lengths', () => {
  const known = [0, 1, 2, 8, 9, 10, 100, 1000, 4096, 4097, 524_297, 4_194_313].map((length) => [length, padme(length)]);
  expect(known).toEqual([
    [0, 0],
    [1, 1],
    [2, 2],
    [8, 8],
    [9, 10],
    [10, 10],
    [100, 104],
    [1000, 1024],
    [4096, 4096],
    [4097, 4352],
    [524_297, 540_672],
    [4_194_313, 4_325_376],
  ]);
});

test('a padded length is never shorter, at most 12 % longer, and stays as it is when padded again', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 31 - 1 }), (length) => {
      const padded = padme(length);
      expect(padded).toBeGreaterThanOrEqual(length);
      expect(padded).toBeLessThanOrEqual(length * 1.12 + 1);
      expect(padme(padded)).toBe(padded);
    }),
  );
});

test('longer content never gets a shorter length', () => {
  let before = 0;
  for (let length = 0; length < 100_000; length++) {
    expect(padme(length)).toBeGreaterThanOrEqual(before);
    before = padme(length);
  }
});
