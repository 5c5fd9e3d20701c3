import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nativeZstd } from '../codec/zstd.ts';
import { sharedZstd } from './shared-zstd.ts';

const zstd = sharedZstd();
const native = nativeZstd();

test('its frames are those of the runtime, at any level and in any order', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 5000 }),
      fc.integer({ min: 1, max: 9 }),
      fc.nat(200),
      (bytes, level, times) => {
        const plain = Buffer.concat(Array.from({ length: times + 1 }, () => bytes));
        const frame = zstd.compress(plain, level);
        expect(Buffer.from(native.decompress(new Uint8Array(frame), plain.length)).equals(plain)).toBe(true);
      },
    ),
    { numRuns: 200 },
  );
});

test('a chunk of the largest length that does not compress fits', () => {
  const plain = Buffer.alloc(4 << 20);
  for (let i = 0, state = 7; i < plain.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    plain[i] = state >>> 24;
  }
  const frame = zstd.compress(plain, 3);
  expect(Buffer.from(native.decompress(new Uint8Array(frame), plain.length)).equals(plain)).toBe(true);
});
