import { decode, encode, rfc8949EncodeOptions } from 'cborg';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { loadSodium } from '../codec/sodium.ts';
import { isEdgeError } from '../core/errors.ts';
import { RECORD_BYTES_MAX } from '../core/limits.ts';
import { arbitraryBody, arbitrarySnapshot } from '../testing/arbitrary-record.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import { fixtureVaultKeys } from '../testing/vault-keys-fixture.ts';
import { decodeBody, encodeBody } from './body-encoding.ts';
import { nextEnvelope } from './next-envelope.ts';
import { decodeEnvelope, encodeRecord, openRecord, verifyRecord } from './record.ts';
import type { RecordBody } from './record-body.ts';

const sodium = await loadSodium();
const random = createSeededRandom('record');
const vault = '0'.repeat(32);
const agent = '1'.repeat(32);
const keys = fixtureVaultKeys(sodium, vault, random(32));
const signSeed = random(32);
const { publicKey } = sodium.crypto_sign_seed_keypair(signSeed);
const envelope = nextEnvelope(undefined, { vault, agent, incarnation: 1, keyId: keys.currentKeyId });
const forget: RecordBody = { type: 'forget', snapshot: 'ab'.repeat(32) };

const write = (body: RecordBody) => encodeRecord(sodium, { envelope, body, keys, signSeed, random24: random(24) });

test('a record reads back as it was written, its envelope without any key', () => {
  fc.assert(
    fc.property(arbitraryBody, (body) => {
      const { bytes, hash } = write(body);
      expect(decodeEnvelope(bytes)).toEqual({ ...envelope, hash });
      verifyRecord(sodium, bytes, publicKey);
      expect(openRecord(sodium, bytes, keys)).toEqual(body);
    }),
  );
});

test('the hand-written body is what cborg writes by RFC 8949', () => {
  fc.assert(
    fc.property(arbitraryBody, (body) => {
      const encoded = encodeBody(body);
      const general = encode(decode(encoded, { useMaps: true }), rfc8949EncodeOptions);
      expect(Buffer.from(general).equals(encoded)).toBe(true);
    }),
  );
});

test('every flipped bit is found by the signature or the framing before the body is opened', () => {
  const { bytes } = write(forget);
  for (let place = 0; place < bytes.length * 8; place++) {
    const bad = new Uint8Array(bytes);
    bad[place >> 3]! ^= 1 << (place & 7);
    expect(() => verifyRecord(sodium, bad, publicKey)).toThrow();
    // The signature itself is not under the tag.
    if (place < 8 * (bytes.length - 64)) expect(() => openRecord(sodium, bad, keys)).toThrow();
  }
});

test('another key does not verify, another vault does not open', () => {
  const { bytes } = write(forget);
  const other = sodium.crypto_sign_seed_keypair(random(32)).publicKey;
  expect(() => verifyRecord(sodium, bytes, other)).toThrow(expect.objectContaining({ code: 'E_INTEGRITY' }));
  const stranger = fixtureVaultKeys(sodium, 'f'.repeat(32), random(32));
  expect(() => openRecord(sodium, bytes, stranger)).toThrow(expect.objectContaining({ code: 'E_WRONG_KEY' }));
  const wrong = fixtureVaultKeys(sodium, vault, random(32));
  expect(() => openRecord(sodium, bytes, wrong)).toThrow(expect.objectContaining({ code: 'E_INTEGRITY' }));
});

test('arbitrary and mutated bytes give a value or an error of the format', () => {
  const { bytes } = write(forget);
  const edits = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 });
  const mutated = edits.map((list) => {
    const out = new Uint8Array(bytes);
    for (const [at, value] of list) out[at] = value;
    return out;
  });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), mutated), (candidate) => {
      settle(() => decodeEnvelope(candidate), 'E_FORMAT', 'E_NEWER_FORMAT');
      settle(() => openRecord(sodium, candidate, keys), 'E_FORMAT', 'E_NEWER_FORMAT', 'E_INTEGRITY', 'E_WRONG_KEY');
    }),
    { numRuns: 1000 },
  );
});

test('arbitrary and mutated bodies give a value or an E_FORMAT, and what decodes has one encoding', () => {
  const mutated = fc
    .tuple(arbitraryBody, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }))
    .map(([body, edits]) => {
      const out = encodeBody(body);
      for (const [at, value] of edits) out[at % out.length] = value;
      return out;
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated), (bytes) => {
      settle(() => decodeBody(bytes), 'E_FORMAT', 'E_NEWER_FORMAT');
    }),
    { numRuns: 2000 },
  );
});

test('a snapshot of a later version keeps its unknown fields through a checkpoint', () => {
  const body = fc.sample(arbitrarySnapshot, { seed: 1, numRuns: 1 })[0]!;
  const map = decode(encodeBody(body), { useMaps: true }) as Map<number, unknown>;
  map.set(40, ['later', 1]);
  const later = decodeBody(encode(map, rfc8949EncodeOptions));
  if (later.type !== 'snapshot') throw new Error('snapshot wanted');
  expect(later.unknown).toHaveLength(1);
  const head = { incarnation: 1, seq: 1, hash: 'cd'.repeat(32) };
  const snapshots = [{ id: head.hash, incarnation: 1, seq: 1, body: later }];
  const checkpoint: RecordBody = { type: 'checkpoint', checkpoint: { head, snapshots, pins: [], settings: undefined } };
  expect(decodeBody(encodeBody(checkpoint))).toEqual(checkpoint);
  map.set(-1, 0);
  const critical = encode(map, rfc8949EncodeOptions);
  expect(() => decodeBody(critical)).toThrow(expect.objectContaining({ code: 'E_NEWER_FORMAT' }));
  expect(() => decodeBody(encode(new Map([[0, 99]])))).toThrow(expect.objectContaining({ code: 'E_NEWER_FORMAT' }));
});

test('a later version and an unknown critical feature are a newer format', () => {
  const { bytes } = write(forget);
  for (const [at, value] of [
    [8, 2],
    [10, 1],
  ] as const) {
    const later = new Uint8Array(bytes);
    later[at] = value;
    expect(() => decodeEnvelope(later)).toThrow(expect.objectContaining({ code: 'E_NEWER_FORMAT', exitCode: 16 }));
  }
});

test('what no reader would take is not written', () => {
  const pin: RecordBody = { type: 'pin', snapshot: 'ab'.repeat(32), reason: 'x'.repeat(5000) };
  expect(() => write(pin)).toThrow(expect.objectContaining({ code: 'E_FAILED' }));
  expect(() => decodeEnvelope(new Uint8Array(RECORD_BYTES_MAX + 1))).toThrow(/length/);
});

test('a checkpoint of ten thousand snapshots is one record', () => {
  const body = fc.sample(arbitrarySnapshot, { seed: 2, numRuns: 1 })[0]!;
  const head = { incarnation: 1, seq: 1, hash: 'cd'.repeat(32) };
  const snapshots = Array.from({ length: 10_000 }, (_, seq) => ({ id: head.hash, incarnation: 1, seq, body }));
  const { bytes } = write({ type: 'checkpoint', checkpoint: { head, snapshots, pins: [], settings: undefined } });
  const back = openRecord(sodium, bytes, keys);
  expect(back.type === 'checkpoint' && back.checkpoint.snapshots.length).toBe(10_000);
});

function settle(run: () => unknown, ...codes: Parameters<typeof isEdgeError>[1][]): void {
  try {
    run();
  } catch (error) {
    if (!isEdgeError(error, ...codes)) throw error;
  }
}
