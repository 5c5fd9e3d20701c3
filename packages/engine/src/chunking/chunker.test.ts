import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isEdgeError } from '../core/errors.ts';
import { goldenJson } from '../testing/golden-json.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import { type Chunker, createChunker } from './chunker.ts';
import { cutAllByReference } from './fastcdc-reference.ts';
import { createGearTable } from './gear-table.ts';
import { type ChunkerParams, DEFAULT_CHUNKER_PARAMS, problemOfChunkerParams } from './params.ts';

const SECRET = Uint8Array.from({ length: 32 }, (_, index) => index);
const small: ChunkerParams = { min: 64, avg: 256, max: 1024 };
const gear = createGearTable(SECRET);

/** All cuts of a whole stream given at once. */
function cutWhole(chunker: Chunker, bytes: Uint8Array): number[] {
  const out = new Uint32Array(bytes.length + 1);
  return [...out.subarray(0, chunker.cutAll(bytes, bytes.length, true, out))];
}

/** Content that random bytes are not: runs, repeats and text among them. */
const streams = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 2000 }),
      fc.tuple(fc.nat(3000), fc.nat(255)).map(([length, byte]) => new Uint8Array(length).fill(byte)),
      fc.tuple(fc.nat(200), fc.uint8Array({ minLength: 1, maxLength: 40 })).map(([times, bytes]) => {
        return new Uint8Array(Buffer.alloc(times * bytes.length, bytes));
      }),
      fc.nat().map((seed) => createSeededRandom(seed)(4000)),
    ),
    { maxLength: 6 },
  )
  .map((parts) => new Uint8Array(Buffer.concat(parts)));
const paramsArbitrary = fc.constantFrom<ChunkerParams>(
  small,
  { min: 64, avg: 256, max: 258 },
  { min: 254, avg: 256, max: 4096 },
  { min: 130, avg: 512, max: 1500 },
);

test('the kernel cuts where the plain reference does', () => {
  fc.assert(
    fc.property(streams, paramsArbitrary, fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes, params, secret) => {
      const expected = cutAllByReference(createGearTable(secret), params, bytes);
      expect(cutWhole(createChunker(secret, params), bytes)).toEqual(expected);
    }),
    { numRuns: 150 },
  );
});

test('the same with the default lengths', () => {
  const bytes = createSeededRandom('default')(5 * 1024 * 1024);
  const cuts = cutWhole(createChunker(SECRET, DEFAULT_CHUNKER_PARAMS), bytes);
  expect(cuts).toEqual(cutAllByReference(gear, DEFAULT_CHUNKER_PARAMS, bytes));
  expect(cuts.length).toBeGreaterThan(3);
});

test('chunks are within the lengths and cover the stream', () => {
  const chunker = createChunker(SECRET, small);
  fc.assert(
    fc.property(streams, (bytes) => {
      const cuts = cutWhole(chunker, bytes);
      const lengths = cuts.map((end, index) => end - (cuts[index - 1] ?? 0));
      expect(cuts.at(-1) ?? 0).toBe(bytes.length);
      for (const length of lengths.slice(0, -1)) {
        expect(length).toBeGreaterThan(small.min);
        expect(length).toBeLessThanOrEqual(small.max);
      }
      expect(lengths.at(-1) ?? 1).toBeGreaterThan(0);
      expect(lengths.at(-1) ?? 1).toBeLessThanOrEqual(small.max);
    }),
  );
});

test('a stream read in pieces of any size is cut as when read at once', () => {
  const chunker = createChunker(SECRET, small);
  fc.assert(
    fc.property(
      streams,
      fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1 }),
      fc.boolean(),
      (bytes, sizes, own) => {
        const expected = cutWhole(createChunker(SECRET, small), bytes);
        const buffer = own ? chunker.input(8192) : new Uint8Array(8192);
        const out = new Uint32Array(3);
        const cuts: number[] = [];
        let read = 0;
        let held = 0;
        let consumed = 0;
        for (let turn = 0; consumed < bytes.length; turn++) {
          const take = Math.min(sizes[turn % sizes.length]!, bytes.length - read, buffer.length - held);
          buffer.set(bytes.subarray(read, read + take), held);
          read += take;
          held += take;
          const count = chunker.cutAll(buffer, held, read === bytes.length, out);
          for (const cut of out.subarray(0, count)) cuts.push(consumed + cut);
          const used = count === 0 ? 0 : out[count - 1]!;
          buffer.copyWithin(0, used, held);
          consumed += used;
          held -= used;
        }
        expect(cuts).toEqual(expected);
      },
    ),
  );
});

test('cut by cut is the same as all at once, and asks for more only when the bytes do not decide', () => {
  const chunker = createChunker(SECRET, small);
  fc.assert(
    fc.property(streams, (bytes) => {
      const expected = cutWhole(chunker, bytes);
      let start = 0;
      for (const end of expected) {
        expect(chunker.cut(bytes, start, bytes.length, true)).toBe(end);
        const early = chunker.cut(bytes, start, end, false);
        expect([0, end]).toContain(early);
        expect(chunker.cut(bytes, start, end - 1, false)).toBe(0);
        start = end;
      }
      expect(chunker.cut(bytes, start, start, false)).toBe(0);
    }),
    { numRuns: 40 },
  );
});

test('a buffer longer than what is copied at once is cut whole', () => {
  const bytes = createSeededRandom('long')(12 * 1024 * 1024);
  const chunker = createChunker(SECRET, { min: 2048, avg: 8192, max: 65_536 });
  const own = chunker.input(bytes.length);
  own.set(bytes);
  const cuts = cutWhole(chunker, own);
  expect(cutWhole(createChunker(SECRET, chunker.params), bytes)).toEqual(cuts);
  expect(cuts.length).toBeGreaterThan(1000);
});

test('an insertion moves only the cuts near it', () => {
  const bytes = createSeededRandom('shift')(200_000);
  const chunker = createChunker(SECRET, small);
  const inserted = new Uint8Array(Buffer.concat([bytes.subarray(0, 1000), Buffer.from('new'), bytes.subarray(1000)]));
  const before = new Set(cutWhole(chunker, bytes).map((cut) => cut + 3));
  const shared = cutWhole(chunker, inserted).filter((cut) => before.has(cut));
  expect(shared.length).toBeGreaterThan(before.size * 0.97);
});

test('another secret cuts elsewhere', () => {
  const bytes = createSeededRandom('secret')(100_000);
  const ours = new Set(cutWhole(createChunker(SECRET, small), bytes));
  const theirs = cutWhole(createChunker(new Uint8Array(32), small), bytes);
  expect(theirs.filter((cut) => ours.has(cut)).length).toBeLessThan(theirs.length * 0.1);
});

test('lengths that no vault can have and ranges outside the buffer are refused', () => {
  const wrong: ChunkerParams[] = [
    { min: 63, avg: 256, max: 1024 },
    { min: 64, avg: 128, max: 1024 },
    { min: 64, avg: 300, max: 1024 },
    { min: 64, avg: 256, max: 256 },
    { min: 65, avg: 256, max: 1024 },
    { min: 64, avg: 256, max: 1025 },
    { min: 64, avg: 256, max: 2 ** 23 },
    { min: Number.NaN, avg: 256, max: 1024 },
  ];
  for (const params of wrong) {
    expect(problemOfChunkerParams(params)).toBeDefined();
    expect(() => createChunker(SECRET, params)).toThrow();
  }
  const chunker = createChunker(SECRET, small);
  for (const attempt of [
    () => chunker.cutAll(new Uint8Array(10), 11, true, new Uint32Array(1)),
    () => chunker.cut(new Uint8Array(10), 5, 4, true),
    () => chunker.cut(new Uint8Array(10), -1, 4, true),
  ]) {
    expect(attempt).toThrow(expect.toSatisfy((error: unknown) => isEdgeError(error, 'E_FAILED')));
  }
});

test('golden: the gear table and the cuts of chunker fastcdc-1', () => {
  const stream = Buffer.concat([createSeededRandom('golden chunks')(60_000), Buffer.alloc(5000)]);
  const golden = goldenJson<{
    readonly gear: string[];
    readonly seed: string;
    readonly params: ChunkerParams;
    readonly cuts: number[];
  }>(new URL('./golden/fastcdc-1.json', import.meta.url), () => ({
    gear: [gear[0]!, gear[1]!, gear[255]!].map((value) => value.toString(16).padStart(16, '0')),
    seed: 'golden chunks',
    params: { min: 1024, avg: 4096, max: 16_384 },
    cuts: cutAllByReference(gear, { min: 1024, avg: 4096, max: 16_384 }, stream),
  }));
  expect([gear[0]!, gear[1]!, gear[255]!].map((value) => value.toString(16).padStart(16, '0'))).toEqual(golden.gear);
  expect(cutWhole(createChunker(SECRET, golden.params), stream)).toEqual(golden.cuts);
});

test('the embedded kernel is what its source compiles to', () => {
  const script = fileURLToPath(new URL('../../scripts/build-kernel.mjs', import.meta.url));
  const done = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
  expect(done.stderr).toBe('');
  expect(done.status).toBe(0);
});
