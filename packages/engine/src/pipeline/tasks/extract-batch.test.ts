import fc from 'fast-check';
import { expect, test } from 'vitest';
import { packBatch, type UnpackedBatch, unpackBatch } from './extract-batch.ts';
import { createContentLayout } from './extract-layout.ts';

const bytes = (max: number) => fc.uint8Array({ minLength: 1, maxLength: max });
const segment = fc.record({ to: fc.nat(2 ** 40), from: fc.nat(4e6), length: fc.nat(4e6) });
const batch: fc.Arbitrary<UnpackedBatch> = fc.record({
  folders: fc.array(bytes(300), { maxLength: 5 }),
  chunks: fc.array(
    fc.oneof(
      fc.record({
        id: fc.uint8Array({ minLength: 32, maxLength: 32 }),
        keyId: fc.nat(2 ** 32 - 1),
        sealedBytes: fc.nat(5e6),
        identified: fc.boolean(),
        place: fc.record({ pack: fc.constantFrom('/a.pack', '/b.pack'), offset: fc.nat(2 ** 27) }),
      }),
      bytes(200).chain((sealed) =>
        fc.record({
          id: fc.uint8Array({ minLength: 32, maxLength: 32 }),
          keyId: fc.constant(1),
          sealedBytes: fc.constant(sealed.length),
          identified: fc.constant(false),
          place: fc.constant({ sealed }),
        }),
      ),
    ),
    { maxLength: 20 },
  ),
  files: fc.array(
    fc.record({
      folder: fc.nat(4),
      name: bytes(255),
      mode: fc.nat(0o7777),
      uid: fc.nat(2 ** 32 - 1),
      gid: fc.nat(2 ** 32 - 1),
      mtimeNs: fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }),
      size: fc.nat(Number.MAX_SAFE_INTEGER),
      refs: fc.array(fc.record({ chunk: fc.nat(20), length: fc.nat(4e6) }), { maxLength: 5 }),
      holes: fc.option(fc.array(fc.record({ offset: fc.nat(), length: fc.nat() })), { nil: undefined }),
      xattrs: fc.option(fc.array(fc.record({ name: bytes(20), value: bytes(20) })), { nil: undefined }),
    }),
    { maxLength: 20 },
  ),
  pieces: fc.array(
    fc.record({
      folder: fc.nat(4),
      name: bytes(255),
      chunk: fc.nat(20),
      length: fc.nat(4e6),
      segments: fc.array(segment, { maxLength: 4 }),
    }),
    { maxLength: 5 },
  ),
});

/** Views of one buffer and arrays of their own are the same thing here. */
const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_key, item: unknown) => {
      if (typeof item === 'bigint') return `${item}n`;
      return item instanceof Uint8Array ? Buffer.from(item).toString('hex') : item;
    }).replaceAll(
      /\{"type":"Buffer","data":\[[^\]]*\]\}/g,
      (text) => `"${Buffer.from(JSON.parse(text).data).toString('hex')}"`,
    ),
  );

test('a batch comes out of its arrays as it went in, after a structured clone', () => {
  fc.assert(
    fc.property(batch, (given) => {
      expect(plain(unpackBatch(structuredClone(packBatch(given))))).toEqual(plain(given));
    }),
    { numRuns: 200 },
  );
});

test('chunks and holes together cover a file once and in order, wherever chunks are cut', () => {
  const parts = fc.array(fc.record({ hole: fc.boolean(), length: fc.integer({ min: 1, max: 50 }) }), { maxLength: 12 });
  fc.assert(
    fc.property(parts, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 30 }), (layout, cuts) => {
      let size = 0;
      const holes: { offset: number; length: number }[] = [];
      const expected: number[] = [];
      for (const { hole, length } of layout) {
        const last = holes.at(-1);
        if (hole && last !== undefined && last.offset + last.length === size) last.length += length;
        else if (hole) holes.push({ offset: size, length });
        else for (let i = 0; i < length; i++) expected.push(size + i);
        size += length;
      }
      const place = createContentLayout(size, holes);
      const found: number[] = [];
      for (let left = expected.length, i = 0; left > 0; i++) {
        const length = Math.min(left, cuts[i % cuts.length]!);
        let from = 0;
        for (const segment of place(length)) {
          expect(segment.from).toBe(from);
          for (let at = 0; at < segment.length; at++) found.push(segment.to + at);
          from += segment.length;
        }
        left -= length;
      }
      expect(found).toEqual(expected);
      expect(() => place(1)).toThrow(expect.objectContaining({ code: 'E_FORMAT' }));
    }),
  );
});
