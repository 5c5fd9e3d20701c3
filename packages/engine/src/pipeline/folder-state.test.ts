import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  FolderStateReader,
  FolderStateWriter,
  inodeKey,
  isRacy,
  STAT_AT,
  STAT_WORDS,
  sizeOf,
  statEquals,
} from './folder-state.ts';

const record = fc.record({
  type: fc.integer({ min: 1, max: 6 }),
  flags: fc.integer({ min: 0, max: 255 }),
  stat: fc.uint32Array({ minLength: STAT_WORDS, maxLength: STAT_WORDS }),
  name: fc.uint8Array({ minLength: 1, maxLength: 255 }),
  encoded: fc.uint8Array({ maxLength: 300 }),
});
const pageIds = fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { maxLength: 4 });

describe('the state of a folder', () => {
  test('comes back as it was written, wherever its bytes lie', () => {
    const writer = new FolderStateWriter();
    fc.assert(
      fc.property(
        fc.array(record, { maxLength: 20 }),
        pageIds,
        fc.integer({ min: 0, max: 3 }),
        (records, pages, shift) => {
          writer.start(pages);
          for (const one of records) writer.add(one.type, one.flags, one.stat, 0, one.name, one.encoded);
          const state = writer.take();
          const moved = new Uint8Array(state.length + shift).subarray(shift);
          moved.set(state);
          const reader = FolderStateReader.open(moved)!;
          expect(reader.pageIds()).toEqual(pages.map((id) => new Uint8Array(id)));
          for (const one of records) {
            expect(reader.next()).toBe(true);
            expect(reader.record).toMatchObject({ type: one.type, flags: one.flags });
            expect(new Uint8Array(reader.name())).toEqual(new Uint8Array(one.name));
            expect(new Uint8Array(reader.encoded())).toEqual(new Uint8Array(one.encoded));
            expect(statEquals(reader.words, (reader.record.at + STAT_AT) >> 2, one.stat, 0)).toBe(true);
          }
          expect(reader.next()).toBe(false);
        },
      ),
    );
  });

  test('bytes that are none are refused or end early, and never lead outside', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.array(record, { maxLength: 5 }), (noise, records) => {
        const writer = new FolderStateWriter();
        writer.start();
        for (const one of records) writer.add(one.type, one.flags, one.stat, 0, one.name, one.encoded);
        const state = writer.take();
        for (const [i, byte] of noise.entries()) if (i < state.length - 4) state[i + 4] = state[i + 4]! ^ byte;
        const reader = FolderStateReader.open(state);
        while (reader?.next() === true) {
          expect(reader.record.end).toBeLessThanOrEqual(state.length);
          reader.name();
          reader.encoded();
        }
      }),
    );
    expect(FolderStateReader.open(new Uint8Array(0))).toBeUndefined();
    expect(FolderStateReader.open(new Uint8Array(64))).toBeUndefined();
  });

  test('tells sizes and inodes beyond 32 bits apart', () => {
    const stat = Uint32Array.from([1, 2, 5, 3, 0, 0, 0, 0, 0, 0, 8, 1]);
    expect(sizeOf(stat, 0)).toBe(3 * 2 ** 32 + 5);
    expect(inodeKey(stat, 0)).toBe('8:1:2:1');
  });
});

test.each([
  ['long before', 1000, 1000, false],
  ['changed at the start of the capture', 1_000_000, 1000, true],
  ['changed a second before', 999_999, 1000, true],
  ['changed three seconds before', 999_997, 1000, false],
  ['written just now on a file system without change times', 1000, 1_000_000, true],
  ['with a time far ahead that someone set', 1000, 9_000_000, false],
  ['with a time before 1970', 1000, -5, false],
])('an entry %s: racy is %s', (_, ctime, mtime, expected) => {
  const stat = new Uint32Array(STAT_WORDS);
  const put = (at: number, seconds: number): void => {
    stat[at] = seconds >>> 0;
    stat[at + 1] = Math.floor(seconds / 2 ** 32) >>> 0;
  };
  put(4, ctime);
  put(7, mtime);
  expect(isRacy(stat, 1_000_000)).toBe(expected);
});
