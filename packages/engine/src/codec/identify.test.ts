import { createHash, createHmac, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ChunkKind } from '../core/ids.ts';
import { createIdentifier } from './identify.ts';

const kinds = fc.constantFrom(ChunkKind.data, ChunkKind.tree, ChunkKind.list);

test('an id is HMAC-SHA-256(id key, SHA-256(kind ‖ plaintext)), below and above the one-shot length', () => {
  const lengths = fc.oneof(fc.nat(300), fc.constantFrom(4095, 4096, 4097, 10_000, 100_000));
  fc.assert(
    fc.property(kinds, lengths, fc.uint8Array({ minLength: 32, maxLength: 32 }), (kind, length, idKey) => {
      const plain = randomBytes(length);
      const digest = createHash('sha256').update(Uint8Array.of(kind)).update(plain).digest();
      const expected = createHmac('sha256', idKey).update(digest).digest();
      expect(Buffer.compare(createIdentifier(idKey)(kind, plain), expected)).toBe(0);
    }),
  );
});

test('an id stays what it is when the next one is computed', () => {
  const identify = createIdentifier(new Uint8Array(32));
  const first = identify(ChunkKind.data, Uint8Array.of(1));
  const copy = Buffer.from(first);
  identify(ChunkKind.data, Uint8Array.of(2));
  expect(Buffer.compare(first, copy)).toBe(0);
});

test('the kind is part of the id', () => {
  const identify = createIdentifier(new Uint8Array(32));
  const plain = Uint8Array.of(1, 2, 3);
  expect(Buffer.compare(identify(ChunkKind.data, plain), identify(ChunkKind.tree, plain))).not.toBe(0);
});
