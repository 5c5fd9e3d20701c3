import fc from 'fast-check';
import { expect, test } from 'vitest';
import { loadSodium } from '../codec/sodium.ts';
import { arbitrarySettings, arbitrarySnapshot } from '../testing/arbitrary-record.ts';
import { chainWriter } from '../testing/chain-writer.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import { CborWriter } from '../tree/cbor-writer.ts';
import { verifyHead } from './entry-head.ts';
import { comparePlaces } from './position.ts';
import {
  type CheckedSnapshot,
  decodeCheckpointPart,
  decodeRecordCheckpoint,
  encodeCheckpointEntries,
  encodeRecordCheckpoint,
  joinCheckpointParts,
  openCheckpointPart,
  type RecordCheckpoint,
} from './record-checkpoint.ts';

const sodium = await loadSodium();
const code = (name: string) => expect.objectContaining({ code: name });
const link = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((list) => Buffer.from(list).toString('hex'));
const u32 = fc.integer({ min: 1, max: 0xffff_ffff });
const snapshot: fc.Arbitrary<CheckedSnapshot> = fc.record({
  id: link,
  incarnation: u32,
  seq: fc.integer({ min: 1, max: 2 ** 48 - 1 }),
  shard: u32,
  damaged: fc.boolean(),
  body: arbitrarySnapshot,
});
const checkpoints: fc.Arbitrary<RecordCheckpoint> = fc.record({
  snapshots: fc
    .uniqueArray(snapshot, { maxLength: 4, selector: ({ incarnation, seq }) => `${incarnation}/${seq}` })
    .map((list) => list.sort(comparePlaces)),
  pins: fc.array(fc.record({ snapshot: link, reason: fc.constant('why') }), { maxLength: 3 }),
  settings: fc.option(arbitrarySettings, { nil: undefined }),
});

test('a checkpoint reads back from its parts, however small they are', () => {
  fc.assert(
    fc.property(checkpoints, fc.integer({ min: 1, max: 2000 }), (checkpoint, partBytes) => {
      const parts = encodeRecordCheckpoint(checkpoint, partBytes);
      expect(decodeRecordCheckpoint(parts)).toEqual(checkpoint);
      expect(encodeRecordCheckpoint(checkpoint)).toHaveLength(1);
    }),
  );
});

const [body] = fc.sample(arbitrarySnapshot, { seed: 5, numRuns: 1 });
const some: RecordCheckpoint = {
  snapshots: [3, 5, 8].map((seq) => ({
    id: 'ab'.repeat(32),
    incarnation: 1,
    seq,
    shard: 1,
    damaged: seq === 5,
    body: body!,
  })),
  pins: [{ snapshot: 'ab'.repeat(32), reason: 'year end' }],
  settings: undefined,
};

test('the entries of a checkpoint follow one another, and open one by one', () => {
  const owner = chainWriter('checkpoint');
  owner.takeover();
  const entries = encodeCheckpointEntries(sodium, {
    writer: owner,
    after: owner.position!,
    checkpoint: some,
    keys: owner.keys,
    signSeed: owner.signSeed,
    random: createSeededRandom('parts'),
    partBytes: 1,
  });
  expect(entries).toHaveLength(4);
  let previous = owner.position!.link;
  for (const { head } of entries) {
    verifyHead(sodium, head, owner.signPublicKey);
    expect(head.header).toMatchObject({ kind: 9, shard: 0, previous });
    previous = head.link;
  }
  const parts = entries.map((entry) => openCheckpointPart(sodium, entry, owner.keys));
  expect(joinCheckpointParts(parts)).toEqual(some);
  expect(() => openCheckpointPart(sodium, owner.record(), owner.keys)).toThrow(code('E_INTEGRITY'));
});

test('two incarnations may have used one seq, and the older one comes first', () => {
  const at = (incarnation: number, seq: number): CheckedSnapshot => ({ ...some.snapshots[0]!, incarnation, seq });
  const checkpoint = (...snapshots: CheckedSnapshot[]): RecordCheckpoint => ({ ...some, snapshots });
  const list = checkpoint(at(1, 8), at(2, 5), at(2, 8));
  expect(decodeRecordCheckpoint(encodeRecordCheckpoint(list))).toEqual(list);
  for (const wrong of [checkpoint(at(2, 5), at(1, 8)), checkpoint(at(1, 8), at(1, 8))])
    expect(() => encodeRecordCheckpoint(wrong)).toThrow('not in order');
});

test('a checkpoint is there with its last part only, and its parts are in order', () => {
  const parts = encodeRecordCheckpoint(some, 1).map(decodeCheckpointPart);
  const refused = [parts.slice(0, 3), parts.slice(1), [...parts].reverse(), [...parts, parts[3]!], []];
  for (const list of refused) expect(() => joinCheckpointParts(list)).toThrow(code('E_FORMAT'));
  const notSorted = { ...some, snapshots: [...some.snapshots].reverse() };
  expect(() => encodeRecordCheckpoint(notSorted)).toThrow(code('E_FAILED'));
});

test('a later version may add optional fields to a part, and critical ones', () => {
  const part = (key: number) => {
    const writer = new CborWriter().map(5).int(0).int(1).int(1).int(1).int(2).array(0).int(3).array(0);
    return writer.int(key).int(5).take();
  };
  expect(decodeRecordCheckpoint([part(60)])).toEqual({ snapshots: [], pins: [], settings: undefined });
  expect(() => decodeRecordCheckpoint([part(-1)])).toThrow(code('E_NEWER_FORMAT'));
});
