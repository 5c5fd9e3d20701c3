import { randomBytes } from 'node:crypto';
import zlib from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isEdgeError } from '../core/errors.ts';
import { loadZstdCodec, nativeZstd, type Zstd } from './zstd.ts';
import { readZstdFrame } from './zstd-frame.ts';

const listenersBefore = process.listenerCount('uncaughtException');
const native = nativeZstd();
const wasm = await loadZstdCodec();
const implementations: readonly [string, Zstd, Zstd][] = [
  ['node:zlib then node:zlib', native, native],
  ['node:zlib then zstd-codec', native, wasm],
  ['zstd-codec then node:zlib', wasm, native],
  ['zstd-codec then zstd-codec', wasm, wasm],
];

/** Text-like: words that repeat. */
const compressible = fc
  .array(fc.constantFrom('alpha ', 'beta ', 'gamma\n', '12345 ', 'ünï '), { maxLength: 3000 })
  .map((words) => Buffer.from(words.join('')));
const contents = fc.oneof(
  compressible,
  fc.uint8Array({ maxLength: 5000 }).map((bytes) => Buffer.from(bytes)),
);

function refusal(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

test.each(implementations)('%s gives the same bytes', (_name, writer, reader) => {
  fc.assert(
    fc.property(contents, fc.constantFrom(1, 3, 19), (plain, level) => {
      fc.pre(plain.length > 0);
      expect(Buffer.compare(reader.decompress(writer.compress(plain, level), plain.length), plain)).toBe(0);
    }),
    { numRuns: 40 },
  );
});

test.each(implementations)('%s carries the largest chunk', (_name, writer, reader) => {
  const half = randomBytes(2 * 1024 * 1024);
  const plain = Buffer.concat([half, Buffer.alloc(half.length, 'the same again ')]);
  expect(Buffer.compare(reader.decompress(writer.compress(plain, 3), plain.length), plain)).toBe(0);
});

test('a frame states its content size and ends where it says, as the format asks for', () => {
  fc.assert(
    fc.property(contents, (plain) => {
      const frame = native.compress(plain, 3);
      expect(readZstdFrame(frame)).toMatchObject({ frameBytes: frame.length, contentBytes: plain.length });
    }),
  );
});

test.each([
  ['node:zlib', native],
  ['zstd-codec', wasm],
] as const)('%s refuses all but exactly one frame of the stated length', (_name, zstd) => {
  const plain = Buffer.alloc(5000, 'hello ');
  const frame = native.compress(plain, 3);
  const without = zlib.zstdCompressSync(plain, { params: { [zlib.constants.ZSTD_c_contentSizeFlag]: 0 } });
  const wrong = [
    [Buffer.concat([frame, frame]), 5000],
    [Buffer.concat([frame, Buffer.alloc(1)]), 5000],
    [frame.subarray(0, -1), 5000],
    [frame, 4999],
    [frame, 5001],
    [frame, 0],
    [without, 5000],
    [Buffer.alloc(0), 0],
  ] as const;
  for (const [bytes, length] of wrong) {
    expect(
      isEdgeError(
        refusal(() => zstd.decompress(bytes, length)),
        'E_INTEGRITY',
      ),
    ).toBe(true);
  }
});

test('a bomb is refused without being inflated', () => {
  const bomb = zlib.zstdCompressSync(Buffer.alloc(64 * 1024 * 1024));
  expect(bomb.length).toBeLessThan(10_000);
  const before = process.memoryUsage().rss;
  expect(
    isEdgeError(
      refusal(() => native.decompress(bomb, 1000)),
      'E_INTEGRITY',
    ),
  ).toBe(true);
  // The same frame with a header that lies about its content: run-length blocks of more than it states.
  const lying = Buffer.concat([Buffer.from('28b52ffd2064', 'hex'), rle(131_072, false), rle(131_072, true)]);
  for (const zstd of [native, wasm]) {
    expect(
      isEdgeError(
        refusal(() => zstd.decompress(lying, 100)),
        'E_INTEGRITY',
      ),
    ).toBe(true);
  }
  expect(process.memoryUsage().rss - before).toBeLessThan(32 * 1024 * 1024);
});

test('a frame that asks for a huge window is refused', () => {
  // Window descriptor 0x88 = 2^27 bytes, content size 100 in one byte is not possible without the single segment flag: two bytes.
  const frame = Buffer.concat([Buffer.from('28b52ffd40880000', 'hex'), rle(256, true)]);
  expect(readZstdFrame(frame)).toMatchObject({ contentBytes: 256, windowBytes: 2 ** 27 });
  expect(
    isEdgeError(
      refusal(() => native.decompress(frame, 256)),
      'E_INTEGRITY',
    ),
  ).toBe(true);
});

test('arbitrary bytes and damaged frames give the content or E_INTEGRITY', () => {
  const damaged = fc.tuple(contents, fc.nat(), fc.integer({ min: 1, max: 255 })).map(([plain, at, change]) => {
    const frame = Buffer.from(native.compress(plain, 3));
    frame[at % frame.length]! ^= change;
    return { frame, length: plain.length };
  });
  const arbitrary = fc.record({
    frame: fc.uint8Array({ maxLength: 200 }).map((tail) => Buffer.concat([Buffer.from('28b52ffd', 'hex'), tail])),
    length: fc.nat(4096),
  });
  for (const zstd of [native, wasm]) {
    fc.assert(
      fc.property(fc.oneof(damaged, arbitrary), ({ frame, length }) => {
        const error = refusal(() => expect(zstd.decompress(frame, length).length).toBe(length));
        if (error !== undefined) expect(isEdgeError(error, 'E_INTEGRITY')).toBe(true);
      }),
      { numRuns: 300 },
    );
  }
});

test("loading zstd-codec leaves the process's exception handling alone", () => {
  expect(process.listenerCount('uncaughtException')).toBe(listenersBefore);
});

function rle(size: number, last: boolean): Buffer {
  const block = Buffer.alloc(4);
  block.writeUIntLE((size << 3) | (1 << 1) | (last ? 1 : 0), 0, 3);
  return block;
}
