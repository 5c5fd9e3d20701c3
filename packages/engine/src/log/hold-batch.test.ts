import fc from 'fast-check';
import { expect, test } from 'vitest';
import { loadSodium } from '../codec/sodium.ts';
import { concatBytes } from '../core/bytes.ts';
import { isEdgeError } from '../core/errors.ts';
import { arbitraryHoldBatch } from '../testing/arbitrary-record.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import {
  decodeHoldBatch,
  decodeHoldLog,
  encodeHoldBatch,
  encodeHoldLogItem,
  holdBatchHash,
  verifyHoldBatch,
} from './hold-batch.ts';
import { decodeReceipt, encodeReceipt, type Receipt, verifyReceipt } from './receipt.ts';

const sodium = await loadSodium();
const seed = createSeededRandom('holds')(32);
const { publicKey } = sodium.crypto_sign_seed_keypair(seed);
const stranger = sodium.crypto_sign_seed_keypair(new Uint8Array(32).fill(9)).publicKey;
const sample = fc.sample(arbitraryHoldBatch, { seed: 4, numRuns: 1 })[0]!;

test('a hold batch reads back as it was signed', () => {
  fc.assert(
    fc.property(arbitraryHoldBatch, (batch) => {
      const bytes = encodeHoldBatch(sodium, batch, seed);
      expect(decodeHoldBatch(bytes)).toEqual(batch);
      expect(verifyHoldBatch(sodium, bytes, publicKey)).toEqual(batch);
      expect(() => verifyHoldBatch(sodium, bytes, stranger)).toThrow(expect.objectContaining({ code: 'E_INTEGRITY' }));
    }),
  );
});

test('every flipped bit of a batch and of a receipt is found', () => {
  const small = { ...sample, entries: sample.entries.slice(0, 1) };
  const batch = encodeHoldBatch(sodium, small, seed);
  const receipt = encodeReceipt(sodium, receiptOf(batch), seed);
  for (const [bytes, verify] of [
    [batch, verifyHoldBatch],
    [receipt, verifyReceipt],
  ] as const) {
    for (let bit = 0; bit < bytes.length * 8; bit += 3) {
      const bad = new Uint8Array(bytes);
      bad[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => verify(sodium, bad, publicKey)).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^E_(FORMAT|NEWER_FORMAT|INTEGRITY)$/) }),
      );
    }
  }
});

test('arbitrary and mutated bytes give a value or an E_FORMAT', () => {
  const batch = encodeHoldBatch(sodium, sample, seed);
  const receipt = encodeReceipt(sodium, receiptOf(batch), seed);
  const mutated = fc
    .tuple(fc.constantFrom(batch, receipt), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }))
    .map(([bytes, edits]) => {
      const out = new Uint8Array(bytes);
      for (const [at, value] of edits) out[at % out.length] = value;
      return out;
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), mutated), (bytes) => {
      for (const read of [decodeHoldBatch, decodeReceipt, decodeHoldLog]) {
        try {
          read(bytes);
        } catch (error) {
          if (!isEdgeError(error, 'E_FORMAT', 'E_NEWER_FORMAT')) throw error;
        }
      }
    }),
    { numRuns: 1500 },
  );
});

test('a count that the bytes do not have is refused before anything is allocated', () => {
  const bytes = new Uint8Array(encodeHoldBatch(sodium, sample, seed));
  new DataView(bytes.buffer).setUint32(112, 0xffff_ffff, true);
  expect(() => decodeHoldBatch(bytes)).toThrow(expect.objectContaining({ code: 'E_FORMAT' }));
  expect(() => encodeHoldBatch(sodium, { ...sample, entries: [] }, seed)).toThrow(
    expect.objectContaining({ code: 'E_LIMIT' }),
  );
});

test('a hold log gives its batches, names a torn end, and steps over damage', () => {
  const batches = fc
    .sample(arbitraryHoldBatch, { seed: 8, numRuns: 3 })
    .map((batch) => encodeHoldBatch(sodium, batch, seed));
  const items = batches.map(encodeHoldLogItem);
  const log = concatBytes(items);
  expect(decodeHoldLog(log).batches.map(holdBatchHash)).toEqual(batches.map(holdBatchHash));
  const torn = decodeHoldLog(log.subarray(0, log.length - 1));
  expect(torn.batches.length).toBe(2);
  expect(torn.tornAt).toBe(items[0]!.length + items[1]!.length);
  const bad = new Uint8Array(log);
  bad[items[0]!.length + 4]! ^= 1;
  expect(decodeHoldLog(bad)).toMatchObject({ damaged: [{ offset: items[0]!.length, length: items[1]!.length }] });
});

test('a receipt reads back as it was signed, and not under another key', () => {
  const receipt = receiptOf(encodeHoldBatch(sodium, sample, seed));
  const bytes = encodeReceipt(sodium, receipt, seed);
  expect(decodeReceipt(bytes)).toEqual(receipt);
  expect(verifyReceipt(sodium, bytes, publicKey)).toEqual(receipt);
  expect(() => verifyReceipt(sodium, bytes, stranger)).toThrow(expect.objectContaining({ code: 'E_INTEGRITY' }));
});

function receiptOf(batch: Uint8Array): Receipt {
  const { vault, owner, holder, op, entries } = sample;
  return {
    vault,
    owner,
    holder,
    op,
    batchHash: holdBatchHash(batch),
    count: entries.length,
    timeNs: 1_800_000_000_123_456_789n,
  };
}
