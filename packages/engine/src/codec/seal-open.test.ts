import { createHash, randomBytes } from 'node:crypto';
import zlib from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EdgeError, isEdgeError } from '../core/errors.ts';
import { type ChunkId, ChunkKind, toHex } from '../core/ids.ts';
import { CHUNK_PLAIN_BYTES_MAX, CHUNK_SEALED_BYTES_MAX } from '../core/limits.ts';
import { generationOf } from '../keys/vault-keys.ts';
import { goldenJson } from '../testing/golden-json.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import { fixtureVaultKeys } from '../testing/vault-keys-fixture.ts';
import { identify } from './identify.ts';
import { createOpener } from './open.ts';
import { padme } from './padme.ts';
import { createSealer } from './seal.ts';
import { Codec, sealedBytesMax } from './sealed-chunk.ts';
import { loadSodium } from './sodium.ts';
import { loadZstdCodec } from './zstd.ts';

const sodium = await loadSodium();
const VAULT = '000102030405060708090a0b0c0d0e0f';
const VAULT_KEY = Uint8Array.from({ length: 32 }, (_, index) => index);
const keys = fixtureVaultKeys(sodium, VAULT, VAULT_KEY);
const sealer = createSealer(sodium, keys, createSeededRandom('seal'));
const opener = createOpener(sodium, keys);
const compressed = { compress: true };

const kinds = fc.constantFrom(ChunkKind.data, ChunkKind.tree, ChunkKind.list);
const plains = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.tuple(fc.nat(30_000), fc.string({ minLength: 1 })).map(([length, text]) => Buffer.alloc(length, text)),
  fc.constantFrom(8100, 8200, 20_000, 600_000).map((length) => randomBytes(length)),
);

function refusal(run: () => unknown): EdgeError | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof EdgeError) return error;
    throw error;
  }
  return undefined;
}

/** The associated data, written down a second time from the format page. */
function associatedData(kind: number, id: ChunkId, keyId = 1, vault = VAULT): Buffer {
  const number = Buffer.alloc(4);
  number.writeUInt32LE(keyId);
  return Buffer.concat([Buffer.of(1), Buffer.from(vault, 'hex'), number, Buffer.of(kind), id]);
}

/** A sealed chunk made with libsodium alone, of a body that may be wrong in any way. */
function sealByHand(kind: number, id: ChunkId, body: Uint8Array): Buffer {
  const nonce = randomBytes(24);
  const key = generationOf(keys, 1)!.sealingKey;
  const sealed = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(body, associatedData(kind, id), null, nonce, key);
  return Buffer.concat([nonce, sealed]);
}

function body(plainBytes: number, codec: number, stored: Uint8Array, paddedTo?: number): Buffer {
  const header = Buffer.alloc(9);
  header.writeUInt32LE(plainBytes, 0);
  header.writeUInt32LE(stored.length, 4);
  header.writeUInt8(codec, 8);
  return Buffer.concat([header, stored], paddedTo ?? padme(9 + stored.length));
}

test('what was sealed opens to the same bytes, compressed or not, at every level', () => {
  fc.assert(
    fc.property(kinds, plains, fc.constantFrom(1, 3, 9), fc.boolean(), (kind, plain, level, compress) => {
      const id = identify(keys, kind, plain);
      const sealed = sealer.seal(kind, id, plain, level, { compress });
      expect(Buffer.compare(opener.open(kind, id, 1, sealed.bytes), plain)).toBe(0);
      expect(sealed.bytes.length).toBeLessThanOrEqual(sealedBytesMax(plain.length));
      expect(Buffer.compare(createHash('sha256').update(sealed.bytes).digest(), sealed.sha256)).toBe(0);
      if (!compress) expect(sealed.codec).toBe(Codec.raw);
    }),
    { numRuns: 80 },
  );
});

test('sealing into a larger buffer writes the same bytes and nothing beside them', () => {
  const plain = Buffer.alloc(20_000, 'text and more ');
  const id = identify(keys, ChunkKind.data, plain);
  const alone = createSealer(sodium, keys, createSeededRandom('x')).seal(ChunkKind.data, id, plain, 3, compressed);
  const target = new Uint8Array(alone.bytes.length + 30).fill(7);
  const into = createSealer(sodium, keys, createSeededRandom('x'));
  const written = into.sealInto(target, 10, ChunkKind.data, id, plain, 3, compressed);
  expect(written).toEqual({ length: alone.bytes.length, codec: Codec.zstd, sha256: alone.sha256 });
  expect(Buffer.compare(target.subarray(10, 10 + written.length), alone.bytes)).toBe(0);
  expect([...target.subarray(0, 10), ...target.subarray(10 + written.length)].every((byte) => byte === 7)).toBe(true);

  const tooSmall = target.slice().fill(7);
  const error = refusal(() => into.sealInto(tooSmall, 31, ChunkKind.data, id, plain, 3, compressed));
  expect(isEdgeError(error, 'E_LIMIT')).toBe(true);
  expect(tooSmall.every((byte) => byte === 7)).toBe(true);
});

test("libsodium's own function opens our sealed chunks, and we open what it sealed", () => {
  fc.assert(
    fc.property(kinds, plains, (kind, plain) => {
      const id = identify(keys, kind, plain);
      const ours = sealer.seal(kind, id, plain, 3, { compress: false }).bytes;
      const opened = sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
        null,
        ours.subarray(24),
        associatedData(kind, id),
        ours.subarray(0, 24),
        generationOf(keys, 1)!.sealingKey,
      );
      expect(Buffer.compare(opened, body(plain.length, Codec.raw, plain))).toBe(0);

      const stored = zlib.zstdCompressSync(plain);
      const theirs = sealByHand(kind, id, body(plain.length, Codec.zstd, stored));
      expect(Buffer.compare(opener.open(kind, id, 1, theirs), plain)).toBe(0);
    }),
    { numRuns: 40 },
  );
});

test('an opener over zstd-codec reads what a sealer over node:zlib wrote, and the other way round', async () => {
  const wasm = await loadZstdCodec();
  const plain = Buffer.alloc(40_000, 'text and more ');
  const id = identify(keys, ChunkKind.tree, plain);
  const ours = sealer.seal(ChunkKind.tree, id, plain, 3, compressed);
  expect(Buffer.compare(createOpener(sodium, keys, wasm).open(ChunkKind.tree, id, 1, ours.bytes), plain)).toBe(0);
  const theirs = createSealer(sodium, keys, createSeededRandom(1), wasm).seal(ChunkKind.tree, id, plain, 3, compressed);
  expect(theirs.codec).toBe(Codec.zstd);
  expect(Buffer.compare(opener.open(ChunkKind.tree, id, 1, theirs.bytes), plain)).toBe(0);
});

test('no flipped bit anywhere in a sealed chunk goes unnoticed, and no cut or added byte', () => {
  const plain = Buffer.from('some content that is not secret any more');
  const id = identify(keys, ChunkKind.data, plain);
  const { bytes } = sealer.seal(ChunkKind.data, id, plain, 3, compressed);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = new Uint8Array(bytes);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    expect(refusal(() => opener.open(ChunkKind.data, id, 1, flipped))?.code).toBe('E_INTEGRITY');
  }
  for (let length = 0; length < bytes.length; length++) {
    expect(refusal(() => opener.open(ChunkKind.data, id, 1, bytes.subarray(0, length)))?.code).toBe('E_INTEGRITY');
  }
  const longer = Buffer.concat([bytes, Buffer.alloc(1)]);
  expect(refusal(() => opener.open(ChunkKind.data, id, 1, longer))?.code).toBe('E_INTEGRITY');
});

test('a flipped bit in a large chunk, which another cipher implementation opens, is noticed too', () => {
  const plain = randomBytes(100_000);
  const id = identify(keys, ChunkKind.data, plain);
  const { bytes } = sealer.seal(ChunkKind.data, id, plain, 3, compressed);
  fc.assert(
    fc.property(fc.nat(bytes.length * 8 - 1), (bit) => {
      const flipped = new Uint8Array(bytes);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      // Without the id check, so that it is the tag which notices.
      const error = refusal(() => opener.open(ChunkKind.data, id, 1, flipped, { identify: false }));
      expect(error?.message).toContain('tag');
    }),
  );
});

test('a sealed chunk is bound to its vault, key generation, kind and id', () => {
  const plain = Buffer.from('bound');
  const id = identify(keys, ChunkKind.data, plain);
  const { bytes } = sealer.seal(ChunkKind.data, id, plain, 3, compressed);
  const otherId = identify(keys, ChunkKind.data, Buffer.from('other'));
  const otherVault = { ...keys, vaultId: 'f'.repeat(32) };
  const secondGeneration = { ...generationOf(keys, 1)!, keyId: 2 };
  const twoKeys = { ...keys, generations: [...keys.generations, secondGeneration] };
  const attempts = [
    () => opener.open(ChunkKind.tree, id, 1, bytes, { identify: false }),
    () => opener.open(ChunkKind.data, otherId, 1, bytes, { identify: false }),
    () => createOpener(sodium, otherVault).open(ChunkKind.data, id, 1, bytes, { identify: false }),
    () => createOpener(sodium, twoKeys).open(ChunkKind.data, id, 2, bytes, { identify: false }),
    () => opener.open(ChunkKind.data, id, 2, bytes),
  ];
  for (const attempt of attempts) expect(refusal(attempt)?.code).toBe('E_INTEGRITY');
});

test('content that its id does not name is refused although the tag is right, unless told not to look', () => {
  const id = identify(keys, ChunkKind.data, Buffer.from('named'));
  const swapped = sealByHand(ChunkKind.data, id, body(5, Codec.raw, Buffer.from('other')));
  expect(refusal(() => opener.open(ChunkKind.data, id, 1, swapped))?.code).toBe('E_INTEGRITY');
  expect(Buffer.from(opener.open(ChunkKind.data, id, 1, swapped, { identify: false })).toString()).toBe('other');
});

test('a body that breaks the format under a valid tag is refused', () => {
  const plain = Buffer.alloc(1000, 'abc');
  const frame = zlib.zstdCompressSync(plain);
  const id = identify(keys, ChunkKind.data, plain);
  const nonZero = body(plain.length, Codec.raw, plain);
  nonZero[nonZero.length - 1] = 1;
  const bomb = zlib.zstdCompressSync(Buffer.alloc(32 * 1024 * 1024));
  const bodies: Record<string, Buffer> = {
    'no padding': body(plain.length, Codec.raw, plain, 9 + plain.length),
    'too much padding': body(plain.length, Codec.raw, plain, 2000),
    'padding that is not zero': nonZero,
    'raw with two lengths': body(plain.length - 1, Codec.raw, plain),
    'a longer plain length': body(plain.length + 1, Codec.zstd, frame),
    'a shorter plain length': body(plain.length - 1, Codec.zstd, frame),
    'a plain length beyond the limit': body(CHUNK_PLAIN_BYTES_MAX + 1, Codec.zstd, frame),
    'a decompression bomb': body(1000, Codec.zstd, bomb),
    'two frames': body(plain.length, Codec.zstd, Buffer.concat([frame, frame])),
    'no frame': body(plain.length, Codec.zstd, plain),
  };
  for (const [name, wrong] of Object.entries(bodies)) {
    const error = refusal(() => opener.open(ChunkKind.data, id, 1, sealByHand(ChunkKind.data, id, wrong)));
    expect([name, error?.code]).toEqual([name, 'E_INTEGRITY']);
  }
  const unknown = sealByHand(ChunkKind.data, id, body(plain.length, 2, plain));
  expect(refusal(() => opener.open(ChunkKind.data, id, 1, unknown))?.code).toBe('E_NEWER_FORMAT');
});

test('arbitrary bytes are E_INTEGRITY', () => {
  const id = identify(keys, ChunkKind.data, new Uint8Array(1));
  fc.assert(
    fc.property(kinds, fc.nat(3), fc.uint8Array({ maxLength: 500 }), (kind, keyId, bytes) => {
      expect(refusal(() => opener.open(kind, id, keyId, bytes))?.code).toBe('E_INTEGRITY');
    }),
  );
  const tooLong = new Uint8Array(CHUNK_SEALED_BYTES_MAX + 1);
  expect(refusal(() => opener.open(ChunkKind.data, id, 1, tooLong))?.code).toBe('E_INTEGRITY');
});

test('a random source that repeats itself repeats a nonce for equal content only', () => {
  const stuck = createSealer(sodium, keys, (length) => new Uint8Array(length));
  const nonces = ['one', 'two', 'one'].map((text) => {
    const plain = Buffer.from(text);
    return toHex(
      stuck.seal(ChunkKind.data, identify(keys, ChunkKind.data, plain), plain, 3, compressed).bytes.subarray(0, 24),
    );
  });
  expect(nonces[0]).not.toBe(nonces[1]);
  expect(nonces[0]).toBe(nonces[2]);
});

test('the largest chunk fits the limits, a larger one is E_LIMIT', () => {
  const largest = randomBytes(CHUNK_PLAIN_BYTES_MAX);
  const id = identify(keys, ChunkKind.data, largest);
  const { bytes } = sealer.seal(ChunkKind.data, id, largest, 3, compressed);
  expect(bytes.length).toBeLessThanOrEqual(CHUNK_SEALED_BYTES_MAX);
  expect(Buffer.compare(opener.open(ChunkKind.data, id, 1, bytes), largest)).toBe(0);
  const larger = new Uint8Array(CHUNK_PLAIN_BYTES_MAX + 1);
  expect(refusal(() => sealer.seal(ChunkKind.data, id, larger, 3, compressed))?.code).toBe('E_LIMIT');
});

interface GoldenChunk {
  readonly name: string;
  readonly kind: ChunkKind;
  readonly plain: string;
  readonly compress: boolean;
  readonly id: string;
  readonly codec: number;
  readonly sealed: string;
}

const goldenChunks = goldenJson<{
  readonly vault: string;
  readonly vaultKey: string;
  readonly chunks: readonly GoldenChunk[];
}>(new URL('./golden/sealed-chunk-1.json', import.meta.url), () => ({
  vault: VAULT,
  vaultKey: Buffer.from(VAULT_KEY).toString('base64'),
  chunks: [
    makeGolden('empty', ChunkKind.data, Buffer.alloc(0), true),
    makeGolden('short text', ChunkKind.data, Buffer.from('hello, edge\n'), true),
    makeGolden('compressed text', ChunkKind.list, Buffer.alloc(3000, 'one line of a log file\n'), true),
    makeGolden('the same text, not compressed', ChunkKind.tree, Buffer.alloc(300, 'one line of a log file\n'), false),
    makeGolden('longer than the crossover', ChunkKind.data, Buffer.from(createSeededRandom('golden')(8300)), true),
  ],
}));

function makeGolden(name: string, kind: ChunkKind, plain: Uint8Array, compress: boolean): GoldenChunk {
  const id = identify(keys, kind, plain);
  const sealed = createSealer(sodium, keys, createSeededRandom(name)).seal(kind, id, plain, 3, { compress });
  const plainText = Buffer.from(plain).toString('base64');
  const bytes = Buffer.from(sealed.bytes).toString('base64');
  return { name, kind, plain: plainText, compress, id: toHex(id), codec: sealed.codec, sealed: bytes };
}

test.each(goldenChunks.chunks)('golden: $name', (golden) => {
  const goldenKeys = fixtureVaultKeys(sodium, goldenChunks.vault, Buffer.from(goldenChunks.vaultKey, 'base64'));
  const plain = Buffer.from(golden.plain, 'base64');
  const id = Buffer.from(golden.id, 'hex');
  expect(toHex(identify(goldenKeys, golden.kind, plain))).toBe(golden.id);
  const opened = createOpener(sodium, goldenKeys).open(golden.kind, id, 1, Buffer.from(golden.sealed, 'base64'));
  expect(Buffer.compare(opened, plain)).toBe(0);
  // What zstd writes may change with its version; everything else is fixed.
  if (golden.codec === Codec.raw) expect(makeGolden(golden.name, golden.kind, plain, golden.compress)).toEqual(golden);
});
