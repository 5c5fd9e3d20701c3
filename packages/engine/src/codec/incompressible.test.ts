import { createCipheriv, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import zlib from 'node:zlib';
import { expect, test } from 'vitest';
import { looksIncompressible } from './incompressible.ts';
import { nativeZstd } from './zstd.ts';

const zstd = nativeZstd();
const text = readFileSync(createRequire(import.meta.url).resolve('zstd-codec/lib/zstd-codec-binding.js'));
const guess = (bytes: Uint8Array) => looksIncompressible(bytes, zstd);

test('random, compressed and encrypted bytes are stored as they are', () => {
  const source = text.subarray(0, 1_500_000);
  expect(guess(randomBytes(16 * 1024))).toBe(true);
  expect(guess(randomBytes(2 * 1024 * 1024))).toBe(true);
  expect(guess(zlib.gzipSync(source))).toBe(true);
  expect(guess(zlib.zstdCompressSync(source))).toBe(true);
  expect(guess(createCipheriv('aes-256-ctr', randomBytes(32), randomBytes(16)).update(source))).toBe(true);
});

test('text is always compressed, whatever its length', () => {
  for (let length = 0; length < text.length; length = Math.ceil((length + 1) * 1.3)) {
    expect(guess(text.subarray(0, length))).toBe(false);
  }
  // As dense as text gets.
  expect(guess(Buffer.from(randomBytes(300_000).toString('base64')))).toBe(false);
});

test('binary data that compresses is compressed', () => {
  const numbers = new Uint8Array(Float64Array.from({ length: 60_000 }, (_, index) => Math.sin(index / 50)).buffer);
  expect(zstd.compress(numbers, 3).length).toBeLessThan(numbers.length * 0.96);
  expect(guess(numbers)).toBe(false);
  const half = Buffer.concat([randomBytes(100_000), Buffer.alloc(100_000)]);
  expect(guess(half)).toBe(false);
  expect(guess(readFileSync(process.execPath).subarray(10_000_000, 10_500_000))).toBe(false);
});

test('short plaintexts are never judged', () => {
  expect(guess(randomBytes(16 * 1024 - 1))).toBe(false);
});
