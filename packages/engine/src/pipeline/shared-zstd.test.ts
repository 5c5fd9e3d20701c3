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

test('it opens what the runtime made, from the middle of a larger buffer', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5000 }), fc.nat(100), fc.nat(64), (bytes, times, before) => {
      const plain = Buffer.concat(Array.from({ length: times }, () => bytes));
      const frame = native.compress(plain, 3);
      const larger = Buffer.alloc(before + frame.length + 9, 0xaa);
      larger.set(frame, before);
      const view = larger.subarray(before, before + frame.length);
      expect(Buffer.from(zstd.decompress(view, plain.length)).equals(plain)).toBe(true);
    }),
    { numRuns: 200 },
  );
});

test('a frame that is damaged, cut, or states another length is E_INTEGRITY, and the next one opens all the same', () => {
  const plain = Buffer.from('a line that repeats\n'.repeat(500));
  const frame = native.compress(plain, 3);
  const refused = { code: 'E_INTEGRITY' };
  expect(() => zstd.decompress(frame, plain.length + 1)).toThrow(expect.objectContaining(refused));
  expect(() => zstd.decompress(frame, plain.length - 1)).toThrow(expect.objectContaining(refused));
  expect(() => zstd.decompress(frame.subarray(0, -1), plain.length)).toThrow(expect.objectContaining(refused));
  for (let at = 0; at < frame.length; at++) {
    const bad = Uint8Array.from(frame);
    bad[at]! ^= 0x55;
    try {
      // Inside the literals a flip is not for the frame to find: the tag has found it before.
      expect(zstd.decompress(bad, plain.length).length).toBe(plain.length);
    } catch (error) {
      expect(error).toMatchObject(refused);
    }
    expect(Buffer.from(zstd.decompress(frame, plain.length)).equals(plain)).toBe(true);
  }
});
