import fc from 'fast-check';
import { expect, test } from 'vitest';
import { loadSodium } from '../codec/sodium.ts';
import { concatBytes } from '../core/bytes.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import { fixtureVaultKeys } from '../testing/vault-keys-fixture.ts';
import { nextEnvelope } from './next-envelope.ts';
import { decodeEnvelope, encodeRecord } from './record.ts';
import type { Head } from './record-body.ts';
import { decodeSegment, encodeSegment, encodeSegmentItem } from './segment.ts';

const sodium = await loadSodium();
const random = createSeededRandom('segment');
const vault = '0'.repeat(32);
const keys = fixtureVaultKeys(sodium, vault, random(32));
const signSeed = random(32);

const records: Uint8Array[] = [];
let head: Head | undefined;
for (let i = 0; i < 5; i++) {
  const envelope = nextEnvelope(head, { vault, agent: '1'.repeat(32), incarnation: 1, keyId: keys.currentKeyId });
  const body = { type: 'forget', snapshot: '00'.repeat(32) } as const;
  const { bytes, hash } = encodeRecord(sodium, { envelope, body, keys, signSeed, random24: random(24) });
  head = { incarnation: 1, seq: envelope.seq, hash };
  records.push(bytes);
}
const segment = encodeSegment(records);
const seqs = (list: readonly Uint8Array[]) => list.map((record) => decodeEnvelope(record).seq);

test('a segment is taken apart into its records', () => {
  expect(decodeSegment(segment)).toEqual({ records: records.map((record) => Buffer.from(record)), damaged: [] });
  expect(decodeSegment(new Uint8Array(0))).toEqual({ records: [], damaged: [] });
});

test('cut anywhere, the whole records before the cut come out and the torn one is told', () => {
  const itemBytes = encodeSegmentItem(records[0]!).length;
  for (let length = 0; length <= segment.length; length++) {
    const whole = Math.floor(length / itemBytes);
    const { records: found, damaged, tornAt } = decodeSegment(segment.subarray(0, length));
    expect(found.length).toBe(whole);
    expect(damaged).toEqual([]);
    expect(tornAt).toBe(length === whole * itemBytes ? undefined : whole * itemBytes);
  }
});

test('a tail of zeros, as a file system leaves after a power loss, is torn', () => {
  const { records: found, tornAt } = decodeSegment(concatBytes([segment, new Uint8Array(4096)]));
  expect(found.length).toBe(5);
  expect(tornAt).toBe(segment.length);
});

test('damage before whole records is told as damage and not as a torn end', () => {
  const itemBytes = encodeSegmentItem(records[0]!).length;
  for (const place of [0, 3, 4, 12, 20]) {
    const bad = new Uint8Array(segment);
    bad[itemBytes + place]! ^= 0x80;
    if (place === 12) continue; // The version byte: a later version, which is an error of its own.
    const result = decodeSegment(bad);
    if (result.damaged.length === 0) continue; // A flip in a field that framing does not check; the signature finds it.
    expect(seqs(result.records)).toEqual([1, 3, 4, 5]);
    expect(result.damaged).toEqual([{ offset: itemBytes, length: itemBytes }]);
    expect(result.tornAt).toBeUndefined();
  }
});

test('arbitrary and mutated bytes never throw an E_FORMAT, and account for every byte', () => {
  const mutated = fc.array(fc.tuple(fc.nat(segment.length - 1), fc.nat(255)), { maxLength: 8 }).map((edits) => {
    const out = new Uint8Array(segment);
    for (const [at, value] of edits) out[at] = value;
    return out;
  });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), mutated), (bytes) => {
      try {
        const { records: found, damaged, tornAt } = decodeSegment(bytes);
        const whole = found.reduce((sum, record) => sum + record.length + 4, 0);
        const lost = damaged.reduce((sum, { length }) => sum + length, 0);
        expect(whole + lost + (tornAt === undefined ? 0 : bytes.length - tornAt)).toBe(bytes.length);
      } catch (error) {
        expect(error).toMatchObject({ code: 'E_NEWER_FORMAT' });
      }
    }),
    { numRuns: 1000 },
  );
});
